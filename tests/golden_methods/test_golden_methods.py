"""The recorded numbers of the methods come out, whatever the sizes and cases, and not with a formula that is wrong."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from amu_raft.backbones.preprocess import unit_rows
from amu_raft.methods import gda, grid_search, tip_adapter
from amu_raft.methods.given import Loss
from amu_raft.methods.tip_adapter import TipAdapterF
from tests import golden
from tests.golden_methods import METHOD_GROUPS

SOURCE = Path(golden.__file__).parent / "data" / "golden" / "methods"
Array = npt.NDArray[Any]
Arrays = dict[str, Array]
COUNTS = {"tip_adapter": 56, "gda": 34}


def folder_of(target: Path, file: str, arrays: Arrays, outputs: Iterable[str]) -> Path:
    """Write one fixture file and a manifest that says nothing of sizes."""
    target.mkdir()
    np.savez(target / f"{file}.npz", allow_pickle=False, **arrays)
    keys: dict[str, Any] = {
        key: {"role": "output" if key in set(outputs) else "input", "shape": arrays[key].shape} for key in arrays
    }
    for key in set(outputs):
        keys[key]["rounding_max_abs"] = 1e-5
    (target / "manifest.json").write_text(json.dumps({"files": {f"{file}.npz": {"keys": keys, "config": {}}}}))
    return target


def recorded(file: str) -> tuple[Arrays, dict[str, Any]]:
    entry = json.loads((SOURCE / "manifest.json").read_text())["files"][f"{file}.npz"]
    return dict(np.load(SOURCE / f"{file}.npz")), entry


def failed(file: str) -> list[str]:
    """Return the keys of a recorded file that do not come out."""
    fixture = golden.Fixture(SOURCE / f"{file}.npz", recorded(file)[1], {})
    computed, _ = golden.recompute(file, fixture)
    keys = fixture.outputs()
    return [key for key in keys if golden._fault(key, fixture, computed, [])]


# ------------------------------------------------------------------------------------------------------ what is right


@pytest.mark.parametrize("file", METHOD_GROUPS)
def test_every_output_of_a_file_comes_out(file: str) -> None:
    outputs = [key for key, meta in recorded(file)[1]["keys"].items() if meta["role"] == "output"]
    assert len(outputs) == COUNTS[file] and failed(file) == []


def test_the_whole_folder() -> None:
    assert golden.compare(SOURCE) == (sum(COUNTS.values()), [])


def test_runs_and_cases_are_found_by_their_keys(tmp_path: Path) -> None:
    arrays, entry = recorded("tip_adapter")
    renamed = {"0/": None, "1/": "7/", "search/0/": "search/4/", "search/1/": None, "one_shot/": "five_classes/"}
    kept: Arrays = {}
    outputs = []
    for key, values in arrays.items():
        old = next((prefix for prefix in renamed if key.startswith(prefix)), "")
        new = renamed.get(old, "")
        if new is not None:
            kept[new + key.removeprefix(old)] = values
            outputs += [new + key.removeprefix(old)] * (entry["keys"][key]["role"] == "output")
    total, lines = golden.compare(folder_of(tmp_path / "other", "tip_adapter", kept, outputs))
    assert (total, lines) == (len(outputs), []) and 30 < total < 56


def unit(rows: Array) -> Array:
    return np.asarray(rows / np.sqrt((rows**2).sum(-1, keepdims=True)))


def percent(logits: Array, labels: Array) -> Array:
    return np.array(100 * (logits.argmax(-1) == labels).mean())


def exact(random: np.random.RandomState, *shape: int) -> Array:
    """Numbers in double precision that single precision has as well."""
    return random.normal(size=shape).astype(np.float32).astype(np.float64)


@pytest.mark.parametrize(("C", "D", "N", "A"), [(2, 3, 5, 1), (6, 17, 20, 4)])
def test_tip_adapter_of_another_size(C: int, D: int, N: int, A: int, tmp_path: Path) -> None:  # noqa: N803
    random = np.random.RandomState(C)
    text, views = unit(exact(random, C, D)).T.astype(np.float32).astype(float), exact(random, A, N, D)
    labels, val, test = random.randint(0, C, N), exact(random, 30, D), exact(random, 11, D)
    val_labels, test_labels = random.randint(0, C, 30), random.randint(0, C, 11)
    keys, values = unit(views.mean(0)), np.eye(C)[labels]

    def logits(rows: Array, beta: float, alpha: float) -> Array:
        affinity = unit(rows) @ keys.T
        return np.asarray(100 * unit(rows) @ text + alpha * np.exp(-beta * (1 - affinity)) @ values)

    betas, alphas = (np.array([0.1 + i * (scale - 0.1) / n for i in range(n)]) for scale, n in ((9.0, 3), (40.0, 6)))
    grid = np.array([[percent(logits(val, beta, alpha), val_labels) for alpha in alphas] for beta in betas])
    best = divmod(int(grid.argmax()), len(alphas))
    wrong = np.array([(label + 1) % C for label in labels])
    on_text = text.T[labels][None]
    outputs: Arrays = {"cache/keys": keys.T, "cache/values": values, "test_features": unit(test)}
    outputs |= {
        "fwd/clip_logits": 100 * unit(test) @ text,
        "fwd/clip_acc": percent(100 * unit(test) @ text, test_labels),
    }
    for case, setting in enumerate([(2.0, 0.7), (11.0, 4.0)]):
        outputs |= {f"fwd/{case}/logits": logits(test, *setting)}
        outputs |= {f"fwd/{case}/acc": percent(logits(test, *setting), test_labels)}
    outputs |= {"few/keys": keys.T, "few/values": values, "few/logits": logits(val, 1.5, 2.5)}
    outputs |= {"search/3/acc": grid, "search/3/best": np.array([betas[best[0]], alphas[best[1]]])}
    outputs |= {"search_wrong/acc": np.zeros((1, 3)), "search_wrong/best": np.zeros(2)}
    inputs: Arrays = {"text": text, "views": views, "val_raw": val, "test_raw": test}
    inputs |= {"few/text": text, "few/views": views, "few/query_raw": val}
    inputs |= {"search_wrong/features": text.T[wrong], "search_wrong/key_views": on_text}
    inputs = {key: values.astype(np.float32) for key, values in inputs.items()}
    inputs |= {"labels": labels, "val_labels": val_labels, "test_labels": test_labels, "few/labels": labels}
    inputs |= {"search_wrong/labels": labels, "few/beta": np.array(1.5), "few/alpha": np.array(2.5)}
    inputs |= {"fwd/beta": np.array([2.0, 11.0]), "fwd/alpha": np.array([0.7, 4.0])}
    inputs |= {"search/3/scale": np.array([9.0, 40.0]), "search/3/step": np.array([3, 6])}
    folder = folder_of(tmp_path / "other", "tip_adapter", inputs | outputs, outputs)
    assert golden.compare(folder) == (len(outputs), [])


@pytest.mark.parametrize(("C", "D", "N", "A"), [(2, 3, 7, 2), (5, 24, 5, 3), (4, 40, 90, 1)])
def test_gda_of_another_size(C: int, D: int, N: int, A: int, tmp_path: Path) -> None:  # noqa: N803
    random = np.random.RandomState(N)
    text, views = unit(exact(random, C, D)).T.astype(np.float32).astype(float), exact(random, A, N, D) + 0.3
    labels, val, test = random.permutation(np.arange(N) % C), exact(random, 25, D), exact(random, 8, D)
    val_labels, test_labels = random.randint(0, C, 25), random.randint(0, C, 8)
    rows, of_rows = unit(views.reshape(-1, D)), np.tile(labels, A)
    means = np.stack([rows[of_rows == label].mean(0) for label in range(C)])
    centred = rows - means[of_rows]
    scatter, n = centred.T @ centred, A * N
    inverse = D * np.linalg.pinv(scatter + np.trace(scatter) / (n - 1) * np.eye(D))
    weight, bias = inverse @ means.T, np.log(1 / C) - np.einsum("cd,de,ce->c", means, inverse, means) / 2
    alphas = np.array([0.001, 0.1, 2.0, 50.0])

    def logits(queries: Array, alpha: float) -> Array:
        return np.asarray(100 * unit(queries) @ text + alpha * (unit(queries) @ weight + bias))

    val_acc = np.array([percent(logits(val, alpha), val_labels) for alpha in alphas])
    best = alphas[val_acc.argmax()]
    outputs: Arrays = {"any/W": weight, "any/b": bias, "any/val_acc": val_acc, "any/alpha": np.array(best)}
    outputs |= {"any/test_logits": logits(test, best), "any/test_acc": percent(logits(test, best), test_labels)}
    inputs: Arrays = {"any/text": text, "any/views": views, "any/val_raw": val, "any/test_raw": test}
    inputs = {key: values.astype(np.float32) for key, values in inputs.items()}
    inputs |= {"any/labels": labels, "any/val_labels": val_labels, "any/test_labels": test_labels, "alphas": alphas}
    folder = folder_of(tmp_path / "other", "gda", inputs | outputs, outputs)
    assert golden.compare(folder) == (len(outputs), [])


# ------------------------------------------------------------------------------------------------------ what is wrong


class Right:
    """The functions before a test changes any."""

    search = staticmethod(tip_adapter.search)
    accuracy_grid = staticmethod(grid_search.accuracy_grid)
    even_steps = staticmethod(grid_search.even_steps)
    inverse = staticmethod(gda.shrunk_inverse)
    classifier = staticmethod(gda.gda_classifier)
    unseen = staticmethod(gda.unseen_classifier)
    loss = staticmethod(TipAdapterF.loss)


def last_best(accuracies: Tensor) -> tuple[int, ...] | None:
    return tuple((accuracies == accuracies.max()).nonzero()[-1].tolist())


def keys_of_length_one(self: TipAdapterF, features: Any, labels: Tensor) -> Loss:
    self.keys.data = unit_rows(self.keys.data)
    return Right.loss(self, features, labels)


def sum_of_losses(self: TipAdapterF, features: Any, labels: Tensor) -> Loss:
    loss = Right.loss(self, features, labels)
    return loss._replace(total=loss.total * len(labels))


def class_means_of_votes(affinity: Tensor, values: Tensor, *, beta: float) -> Tensor:
    return torch.exp(-beta * (1 - affinity)) @ (values / values.sum(dim=0).clamp(min=1))


# The order of the loops is not among them: no recorded grid has equally good places that would tell.
TIP_MISTAKES: dict[str, tuple[Any, str, Any]] = {
    "keys of any length": (tip_adapter, "cache_keys", lambda views: views.mean(dim=0)),
    "unit passes": (tip_adapter, "cache_keys", lambda views: unit_rows(unit_rows(views).mean(dim=0))),
    "the first pass alone": (tip_adapter, "cache_keys", lambda views: unit_rows(views[0])),
    "sign of beta": (tip_adapter, "cache_logits", lambda a, v, *, beta: torch.exp(beta * (1 - a)) @ v),
    "no distance": (tip_adapter, "cache_logits", lambda a, v, *, beta: torch.exp(beta * a) @ v),
    "squared distance": (tip_adapter, "cache_logits", lambda a, v, *, beta: torch.exp(-2 * beta * (1 - a)) @ v),
    "class means of votes": (tip_adapter, "cache_logits", class_means_of_votes),
    "features of any length": (tip_adapter, "unit", lambda features: features["clip"]),
    "keys brought back to length 1": (TipAdapterF, "loss", keys_of_length_one),
    "sum of losses": (TipAdapterF, "loss", sum_of_losses),
    "beta and alpha exchanged": (
        tip_adapter,
        "search",
        lambda z, a, v, labels, axes: Right.search(z, a, v, labels, axes[::-1]),
    ),
    "the last of the best": (grid_search, "first_best", last_best),
    "the upper end tried": (tip_adapter, "even_steps", lambda scale, steps: np.linspace(0.1, scale, steps).tolist()),
    "steps from zero": (tip_adapter, "even_steps", lambda scale, steps: Right.even_steps(scale, steps, low=0.0)),
    "shares for percent": (tip_adapter, "accuracy_grid", lambda *given: Right.accuracy_grid(*given) / 100),
}


def classifier(
    rows: Tensor, labels: Tensor, num_classes: int, *, lost: float = 1, unit_means: bool = False, overall: bool = False
) -> tuple[Tensor, Tensor]:
    """GDA with a divisor n - lost, unit class means, or scatter around the mean of all."""
    rows = rows.double()
    means = torch.stack([rows[labels == label].mean(dim=0) for label in range(num_classes)])
    means = unit_rows(means).double() if unit_means else means
    centred = rows - (rows.mean(dim=0) if overall else means[labels])
    return gda._weights(gda.shrunk_inverse(centred.t() @ centred, max(len(rows) - lost, 1)), means)  # type: ignore[arg-type]


def test_the_classifier_that_mistakes_are_made_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gda, "gda_classifier", classifier)
    assert failed("gda") == []


def by_frequency(rows: Tensor, labels: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    weight, bias = Right.classifier(rows, labels, num_classes)
    return weight, bias + math.log(num_classes) + (labels.bincount(minlength=num_classes) / len(labels)).log()


GDA_MISTAKES: dict[str, tuple[str, Any]] = {
    "sign of the bias": ("gda_classifier", lambda *given: (Right.classifier(*given)[0], -Right.classifier(*given)[1])),
    "no bias": ("gda_classifier", lambda *given: (Right.classifier(*given)[0], torch.zeros(given[2]))),
    "weights by frequency": ("gda_classifier", by_frequency),
    "divisor n": ("gda_classifier", lambda *given: classifier(*given, lost=0)),
    "divisor n - C": ("gda_classifier", lambda *given: classifier(*given, lost=given[2])),
    "unit means": ("gda_classifier", lambda *given: classifier(*given, unit_means=True)),
    "around the mean of all": ("gda_classifier", lambda *given: classifier(*given, overall=True)),
    "inverse not scaled": ("shrunk_inverse", lambda scatter, n: Right.inverse(scatter, n) / len(scatter)),
    "trace of the sum": ("shrunk_inverse", lambda scatter, n: Right.inverse(scatter, 1)),
    "mean variance": ("shrunk_inverse", lambda scatter, n: Right.inverse(scatter, n * len(scatter))),
    "covariance for its sum": ("shrunk_inverse", lambda scatter, n: Right.inverse(scatter, n) * n),
    "scatter alone": ("shrunk_inverse", lambda scatter, n: len(scatter) * torch.linalg.pinv(scatter)),
    "features of any length": ("unit", lambda features: features["clip"]),
    "fewer neighbours": ("unseen_classifier", lambda *given: Right.unseen(*given, neighbours=63)),
    "fewer copies": ("unseen_classifier", lambda *given: Right.unseen(*given, copies=15)),
    "the farthest images": ("unseen_classifier", lambda base, texts: Right.unseen(base, -texts)),
    "each text alone": ("unseen_classifier", lambda base, texts: Right.unseen(base, texts[:, :1].expand_as(texts))),
}


@pytest.mark.parametrize("what", TIP_MISTAKES)
def test_a_mistake_in_tip_adapter_is_found(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*TIP_MISTAKES[what])
    assert failed("tip_adapter")


@pytest.mark.parametrize("what", GDA_MISTAKES)
def test_a_mistake_in_gda_is_found(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gda, *GDA_MISTAKES[what])
    assert failed("gda")


def test_only_what_is_wrong_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid_search, "first_best", last_best)
    keys = failed("tip_adapter")
    assert "0/search_best" in keys and not any(key.endswith(("logits", "keys", "search_acc")) for key in keys)
