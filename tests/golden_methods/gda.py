"""GDA: classifiers in closed form, of classes with images and of classes without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from amu_raft.backbones.text_classifier import zero_shot_logits
from amu_raft.methods import gda, unit
from amu_raft.methods.gda import GDA, GDASettings
from amu_raft.methods.selection import Tuning, accuracy_percent
from tests.few_shot import Images, Shots, make_task

if TYPE_CHECKING:
    from tests.golden import Fixture, Result

NOTHING_RIGHT = 0.1  # the released alpha where no alpha is ever right; one of those tried


def gda_classifiers(fixture: Fixture) -> Result:
    """Weight, bias, chosen alpha and logits of every set."""
    for case in fixture.indices(r"(\w+)/text"):
        views, labels = fixture[f"{case}/views"], fixture[f"{case}/labels"]
        method = _method(fixture, f"{case}/text", passes=len(views))
        method.start(Shots(labels, {"clip": views}))
        yield from ((f"{case}/W", method.weight), (f"{case}/b", method.bias))
        tuning = _choose(method, fixture[f"{case}/val_raw"], fixture[f"{case}/val_labels"])
        yield from ((f"{case}/val_acc", tuning.accuracies), (f"{case}/alpha", tuning.chosen["alpha"]))
        logits = method.branches({"clip": fixture[f"{case}/test_raw"]})["adapted"]
        yield f"{case}/test_logits", logits
        yield f"{case}/test_acc", accuracy_percent(logits, fixture[f"{case}/test_labels"])


def gda_unseen(fixture: Fixture) -> Result:
    """Classes without images; the base classes' own classifier is switched off in these fixtures."""
    for case in fixture.indices(r"(\w+)/text_new"):
        method = _method(fixture, f"{case}/text_base")  # its weight is zero before it starts
        tuning = _choose(method, fixture[f"{case}/val_raw"], fixture[f"{case}/val_labels"])
        yield f"{case}/base_val_acc", tuning.accuracies
        base, texts, queries = (fixture[f"{case}/{name}"] for name in ("views", "text_new", "test_raw"))
        weight, bias = gda.unseen_classifier(unit({"clip": base.flatten(0, 1)}), texts)
        yield from ((f"{case}/W", weight), (f"{case}/b", bias))
        added = unit({"clip": queries}) @ weight + bias
        yield (
            f"{case}/test_logits",
            zero_shot_logits(queries, texts, logit_scale=100.0) + tuning.chosen["alpha"] * added,
        )


def _method(fixture: Fixture, text: str, passes: int = 1) -> GDA:
    settings = GDASettings(
        alpha=NOTHING_RIGHT,
        augment_epoch=passes,
        rule="first_best",
        tune_alphas=", ".join(str(alpha) for alpha in fixture["alphas"].tolist()),
    )
    return GDA(settings, make_task(fixture[text]))


@torch.no_grad()
def _choose(method: GDA, features: Tensor, labels: Tensor) -> Tuning:
    tuning = method.choose(Images(method, {"clip": features}, labels))
    assert tuning is not None
    return tuning
