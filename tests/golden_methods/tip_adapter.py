"""Tip-Adapter and Tip-Adapter-F."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from amu_raft.backbones.preprocess import unit_rows
from amu_raft.methods.grid_search import even_steps
from amu_raft.methods.selection import Tuning, accuracy_percent
from amu_raft.methods.tip_adapter import TipAdapter, TipAdapterF, TipAdapterSettings, search
from tests.few_shot import Images, Shots, make_task
from tests.golden_methods.training import Training

if TYPE_CHECKING:
    from tests.golden import Fixture, Result

CONFIG = ("beta", "alpha", "lr", "epochs", "batch")
LOW = 0.1  # where the released grids begin; as default it adds no value to them
WRONG_SCALE = (3.0, 3.0)  # of the search in which nothing is right, whose fixture has only its numbers of steps


def tip_adapter_cache(fixture: Fixture) -> Result:
    """Cache, zero-shot and adapted logits of the main set, and of the small sets that have names."""
    method = _filled(fixture, "")
    features, labels = {"clip": fixture["test_raw"]}, fixture["test_labels"]
    zero_shot = method.branches(features)["zero_shot"]
    yield from (("cache/keys", method.keys.t()), ("cache/values", method.values))
    yield "test_features", unit_rows(fixture["test_raw"])
    yield from (("fwd/clip_logits", zero_shot), ("fwd/clip_acc", accuracy_percent(zero_shot, labels)))
    for case, (beta, alpha) in enumerate(zip(fixture["fwd/beta"].tolist(), fixture["fwd/alpha"].tolist(), strict=True)):
        logits = _filled(fixture, "", beta=beta, alpha=alpha).branches(features)["adapted"]
        yield f"fwd/{case}/logits", logits
        yield f"fwd/{case}/acc", accuracy_percent(logits, labels)
    for name in fixture.indices(r"(\w+)/query_raw"):
        beta, alpha = fixture.number(f"{name}/beta"), fixture.number(f"{name}/alpha")
        method = _filled(fixture, f"{name}/", beta=beta, alpha=alpha)
        yield f"{name}/keys", method.keys.t()
        yield f"{name}/values", method.values
        yield f"{name}/logits", method.branches({"clip": fixture[f"{name}/query_raw"]})["adapted"]


def tip_adapter_search(fixture: Fixture) -> Result:
    """Searches on the validation images, and one in which nothing is ever right."""
    for case in fixture.indices(r"search/(\d+)/scale"):
        method = _filled(fixture, "")
        found = _search(method, fixture["val_raw"], fixture["val_labels"], *_grid(fixture, f"search/{case}/"))
        yield from _found(f"search/{case}/", found)
    method = _filled(fixture, "", views="search_wrong/key_views")
    steps = fixture.shape("search_wrong/acc")
    wrong = fixture["search_wrong/features"], fixture["search_wrong/labels"]
    yield from _found("search_wrong/", _search(method, *wrong, WRONG_SCALE, steps))


def tip_adapter_train(fixture: Fixture) -> Result:
    """Trained keys."""
    for run in fixture.indices(r"(\d+)/cfg/lr"):
        yield from ((f"{run}/{name}", value) for name, value in _run(fixture, f"{run}/cfg/", fixture[f"{run}/order"]))


def _run(fixture: Fixture, prefix: str, order: Tensor) -> Iterator[tuple[str, Any]]:
    beta, alpha, lr, epochs, batch = (fixture.number(f"{prefix}{name}") for name in CONFIG)
    method = _filled(fixture, "", TipAdapterF, beta=beta, alpha=alpha)
    recipe = method.recipe.changed(lr=lr, epochs=int(epochs), batch_size=int(batch))
    training = Training(method, recipe, len(fixture["labels"]))
    test = {"clip": fixture["test_raw"]}, fixture["test_labels"]
    weights, test_acc = [], []
    for indices in order[: int(epochs)]:
        training.epoch({"clip": fixture["train_raw"]}, fixture["labels"], indices)
        weights.append(method.keys.detach().clone())
        test_acc.append(_accuracy(method, *test))
    yield from ((name, np.array(values)) for name, values in training.steps.items())
    yield "grad_first", training.first_gradients["keys"]
    best = test_acc.index(max(test_acc))
    yield from (("test_acc", np.array(test_acc)), ("best_epoch", best))
    yield from (("weight_final", weights[-1]), ("weight_best", weights[best]))
    method.keys.data = weights[best]
    on_test = _search(method, fixture["test_raw"], fixture["test_labels"], *_grid(fixture, prefix))
    yield from (("imagenet/search_acc", on_test.accuracies), ("imagenet/search_best_acc", on_test.accuracy))
    on_val = _search(method, fixture["val_raw"], fixture["val_labels"], *_grid(fixture, prefix))
    yield from ((f"search_{name}", value) for name, value in _found("", on_val))
    final = _accuracy(method, *test)
    yield from (("final_acc", final), ("reported", round(max(final, *test_acc), 2)))


def _filled(
    fixture: Fixture,
    prefix: str,
    kind: type[TipAdapter] = TipAdapter,
    *,
    views: str | None = None,
    beta: float = 1.0,
    alpha: float = 1.0,
) -> TipAdapter:
    """Return a method whose cache is filled from a fixture's passes over few-shot images."""
    passes = fixture[views or f"{prefix}views"]
    settings = TipAdapterSettings(alpha=alpha, beta=beta, augment_epoch=len(passes))
    method = kind(settings, make_task(fixture[f"{prefix}text"]))
    method.start(Shots(fixture[f"{prefix}labels"], {"clip": passes}))
    return method


def _grid(fixture: Fixture, prefix: str) -> tuple[list[float], list[int]]:
    return fixture[f"{prefix}scale"].tolist(), fixture[f"{prefix}step"].tolist()


def _search(method: TipAdapter, features: Tensor, labels: Tensor, scale: Any, steps: Any) -> Tuning:
    """Let a method choose beta and alpha by the released rule on the released grid."""
    method.settings = replace(
        method.settings,
        beta=LOW,
        alpha=LOW,
        rule="first_best",
        scale_beta=scale[0],
        scale_alpha=scale[1],
        steps_beta=steps[0],
        steps_alpha=steps[1],
    )
    tuning = method.choose(Images(method, {"clip": features}, labels))
    if tuning is None:  # nothing is ever right: ours keeps the configured values, the release takes zeros
        axes = [even_steps(scale[place], steps[place]) for place in (0, 1)]
        nothing = search(*_parts(method, features), labels, axes)
        return Tuning({"beta": [0.0] * steps[0], "alpha": [0.0] * steps[1]}, nothing, (0, 0), len(labels), "")
    return tuning


def _parts(method: TipAdapter, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    rows = unit_rows(features)
    return method.zero_shot({"clip": features}), rows @ method.keys.t(), method.values


def _found(prefix: str, tuning: Tuning) -> Iterator[tuple[str, Any]]:
    yield f"{prefix}acc", tuning.accuracies
    yield f"{prefix}best", np.array(list(tuning.chosen.values()))


@torch.no_grad()
def _accuracy(method: TipAdapter, features: dict[str, Tensor], labels: Tensor) -> float:
    return accuracy_percent(method.branches(features)["adapted"], labels)
