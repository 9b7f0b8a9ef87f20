"""The comparison itself: that it passes on what is right, in any size, and fails on what is wrong."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from amu_raft.methods.raft.region_attention import RegionAttention
from tests import golden

SOURCE = Path(__file__).parent / "data" / "golden"
CLIP = np.array([[0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]])
IMAGENET = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
Array = npt.NDArray[Any]
Arrays = dict[str, Array]
Outcome = tuple[int, list[str]]


@pytest.fixture
def compare(capsys: pytest.CaptureFixture[str]) -> Callable[[Path], Outcome]:
    def run(folder: Path) -> Outcome:
        capsys.readouterr()
        status = golden.main([str(folder)])
        return status, capsys.readouterr().out.splitlines()

    return run


def copied(target: Path, *files: str, **changes: Callable[[Arrays], Any]) -> Path:
    """Copy some fixture files with their manifest entries; a change is made to the arrays of the file so called."""
    target.mkdir()
    manifest = json.loads((SOURCE / "manifest.json").read_text())
    manifest["files"] = {file: manifest["files"][file] for file in files}
    for file in files:
        if change := changes.get(file.removesuffix(".npz")):
            arrays = dict(np.load(SOURCE / file))
            change(arrays)
            np.savez(target / file, **arrays)
        else:
            shutil.copy(SOURCE / file, target)
    (target / "manifest.json").write_text(json.dumps(manifest))
    return target


def edited(folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


# ------------------------------------------------------------------------------------------------------- our own folder


def test_the_projects_fixtures_pass(compare: Any) -> None:
    status, lines = compare(SOURCE)
    assert status == 0 and len(lines) == 1
    words = lines[0].split()
    assert int(words[0]) >= 335 and lines[0] == f"{words[0]} outputs compared, 0 failed"


def shift(key: str, by: float) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[key] = arrays[key].copy()
        arrays[key].flat[-1] += by

    return change


@pytest.mark.parametrize(
    ("file", "key", "by"),
    [
        ("amu_units.npz", "uncertainty/moment/p1.0", 1e-2),
        ("amu_units.npz", "tfm_test/out_uint8", 1),
        ("amu_forward.npz", "0/grad", 1e-4),
        ("raft_alpha.npz", "plateau/best_alpha", 0.02),
        ("raft_pool.npz", "pert/out_bg", 1e-3),
        ("raft_sched.npz", "2/lr_used", 1e-3),
        ("raft_text.npz", "enc/tokens", 1),
    ],
)
def test_one_altered_number_is_named(file: str, key: str, by: float, tmp_path: Path, compare: Any) -> None:
    folder = copied(tmp_path / "copy", file, **{file.removesuffix(".npz"): shift(key, by)})
    status, lines = compare(folder)
    assert status == 1 and len(lines) == 2
    assert lines[0].startswith(f"{file} {key}: largest difference ")
    assert lines[1].endswith("outputs compared, 1 failed")


@pytest.mark.parametrize(("pooling", "part"), [("folded", "_read_out"), ("plain", "_let_all_attend")])
@pytest.mark.parametrize("file", ["raft_pool", "raft_forward", "raft_train"])
def test_both_poolings_are_compared(
    file: str, pooling: str, part: str, tmp_path: Path, compare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = getattr(RegionAttention, part)
    monkeypatch.setattr(RegionAttention, part, lambda *arguments: right(*arguments) + 0.1)
    status, lines = compare(copied(tmp_path / "copy", f"{file}.npz"))
    assert status == 1 and len(lines) > 2
    assert all(line.endswith(f" ({pooling} pooling)") for line in lines[:-1])


def test_rounding_is_no_failure(tmp_path: Path, compare: Any) -> None:
    folder = copied(tmp_path / "copy", "raft_pool.npz", raft_pool=shift("pert/out_bg", 2e-7))
    assert compare(folder) == (0, ["6 outputs compared, 0 failed"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda a: a.update({"pert/out_bg": a["pert/out_bg"][:, :5]}), r"expected shape \(6, 5\), got \(6, 48\)"),
        (lambda a: a.update({"pert/out_bg": a["pert/out_bg"][:2]}), r"expected shape \(2, 48\), got \(6, 48\)"),
    ],
)
def test_another_shape_is_a_failure(change: Any, reason: str, tmp_path: Path, compare: Any) -> None:
    import re

    status, lines = compare(copied(tmp_path / "copy", "raft_pool.npz", raft_pool=change))
    assert status == 1 and re.fullmatch(f"raft_pool.npz pert/out_bg: {reason}", lines[0])


def test_an_altered_text_is_a_failure(tmp_path: Path, compare: Any) -> None:
    def change(arrays: Arrays) -> None:
        arrays["case/error"] = np.array(["KeyError" if not text else "" for text in arrays["case/error"]])

    status, lines = compare(copied(tmp_path / "copy", "raft_sched.npz", raft_sched=change))
    assert status == 1 and lines[0].startswith("raft_sched.npz case/error: expected ['KeyError'")


def test_an_output_without_a_check(tmp_path: Path, compare: Any) -> None:
    folder = copied(tmp_path / "copy", "raft_alpha.npz", raft_alpha=lambda a: a.update({"official/new": np.ones(3)}))
    edited(folder, lambda m: m["files"]["raft_alpha.npz"]["keys"].update({"official/new": {"role": "output"}}))
    assert compare(folder) == (1, ["raft_alpha.npz official/new: no check", "26 outputs compared, 1 failed"])


def test_a_whole_file_without_a_check(tmp_path: Path, compare: Any) -> None:
    folder = copied(tmp_path / "copy", "raft_alpha.npz")
    np.savez(folder / "unheard_of.npz", a=np.ones(2), b=np.ones(2))
    keys = {"a": {"role": "output"}, "b": {"role": "input"}}
    edited(folder, lambda m: m["files"].update({"unheard_of.npz": {"keys": keys, "config": {}}}))
    assert compare(folder) == (1, ["unheard_of.npz a: no check", "26 outputs compared, 1 failed"])


@pytest.mark.parametrize(
    ("file", "key"),
    [("raft_alpha.npz", "inner/accs"), ("raft_pool.npz", "init/cls"), ("amu_forward.npz", "0/loss_aux")],
)
def test_an_output_that_is_missing_from_its_file(file: str, key: str, tmp_path: Path, compare: Any) -> None:
    folder = copied(tmp_path / "copy", file, **{file.removesuffix(".npz"): lambda a: a.pop(key)})
    status, lines = compare(folder)
    assert status == 1 and lines[0] == f"{file} {key}: missing from the file" and lines[1].endswith("1 failed")


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("amu_units.npz", "uncertainty/entropy/p0.2"),
        ("amu_units.npz", "tfm_test/out_uint8"),
        ("raft_sched.npz", "case/error"),
        ("raft_train.npz", "0/pos_emb_first2_after_steps_0_3"),
        ("raft_text.npz", "tfm_test/out_every_4th"),
    ],
)
def test_an_output_that_a_check_looks_at(file: str, key: str, tmp_path: Path, compare: Any) -> None:
    folder = copied(tmp_path / "copy", file, **{file.removesuffix(".npz"): lambda a: a.pop(key)})
    status, lines = compare(folder)
    assert status == 1 and f"{file} {key}: missing from the file" in lines


def test_a_folder_without_a_manifest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert golden.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: no manifest.json in {tmp_path}\n"


def test_values_that_are_not_finite_never_pass() -> None:
    expected = np.array([1.0, np.nan, np.inf])
    assert golden.difference(expected, np.array([1.0, 5.0, 6.0]), {}) is None  # ours is finite where theirs is not
    assert golden.difference(expected, np.array([1.0, np.nan, 6.0]), {}) == "computed value is not finite"
    assert "largest difference 1 " in str(golden.difference(expected, np.array([2.0, 5.0, 6.0]), {}))
    assert golden.difference(np.array(2.0), np.array([[2.0], [2.0]]), {}) is None  # a constant kept as one number
    assert golden.difference(np.array(2.0), np.array([[2.0], [2.1]]), {}) == "expected shape (), got (2, 1)"


# -------------------------------------------------------------------------- other sizes, by formulas of this file alone


class Builder:
    """A fixture folder made from numpy alone."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.manifest: dict[str, Any] = {"sizes": {"raft": {"H": 8}}, "files": {}}

    def add(self, file: str, inputs: Arrays, outputs: Arrays, **config: Any) -> None:
        np.savez(self.folder / file, allow_pickle=False, **inputs, **outputs)
        keys = {key: {"role": "input"} for key in inputs} | {
            key: {"role": "output", "rounding_max_abs": 1e-7} for key in outputs
        }
        self.manifest["files"][file] = {"keys": keys, "config": config}
        (self.folder / "manifest.json").write_text(json.dumps(self.manifest))


def unit(rows: Array) -> Array:
    return np.asarray(rows / np.sqrt((rows**2).sum(-1, keepdims=True)))


def softmax(rows: Array) -> Array:
    powers = np.exp(rows - rows.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def released_weight(logits: Array, kind: str, power: float) -> Array:
    p = softmax(logits.astype(np.float64))
    top = p.max(-1, keepdims=True)
    ordered = -np.sort(-p, axis=-1)
    z = (p - p.mean(-1, keepdims=True)) / p.std(-1, ddof=1, keepdims=True)
    weights = {
        "entropy": np.exp(power * -(p * np.log2(p)).sum(-1, keepdims=True) / np.log2(p.shape[-1])),
        "energy": (2 * (np.log(np.exp((p - top) / 2).sum(-1, keepdims=True)) + top)) ** -power,
        "max": top**-power,
        "max-min": (top - p.min(-1, keepdims=True)) ** -power,
        "var": p.std(-1, ddof=1, keepdims=True),
        "top5": (ordered[:, :1] - ordered[:, 4:5]) ** -power,
        "moment": ((z**4).mean(-1, keepdims=True) / 250) ** -power,
        "none": np.array(1.0),
    }
    return np.asarray(weights[kind])


def test_amu_units_of_another_size(tmp_path: Path, compare: Any) -> None:
    random = np.random.RandomState(5)
    C, D, F, V, P, shots = 9, 10, 7, 2, 3, 3
    logits = random.normal(0, 3, (5, C)).astype(np.float32)
    features = unit(random.normal(size=(C * shots, F))).astype(np.float32)
    labels = random.permutation(np.arange(C).repeat(shots))
    unbalanced = np.minimum(labels, C - 3)  # two classes have no image
    raw = random.normal(size=(V, C * shots, F)).astype(np.float32)
    prompts = random.normal(size=(C, P, D)).astype(np.float32)
    images = random.rand(3, 3, 4, 6).astype(np.float32)
    picture = random.randint(0, 255, (90, 61, 3), dtype=np.uint8)
    edge = np.array([[0.0] * C], dtype=np.float32)  # every reference weight but these is infinite or not a number
    columns = unit(unit(prompts.astype(np.float64)).mean(1)).T
    height = int(90 * 32 / 61)
    top = round((height - 32) / 2)
    small = np.asarray(Image.fromarray(picture).resize((32, height), Image.Resampling.BICUBIC))[top : top + 32]
    outputs: Arrays = {
        "logit_normalize/out": (logits - logits.mean(1, keepdims=True)) / logits.std(1, ddof=1, keepdims=True),
        "uncertainty_edge/max/p0.4": np.array([[float(C) ** 0.4]]),
        "uncertainty_edge/top5/p0.4": np.array([[np.inf]]),
        "uncertainty_edge/moment/p0.4": np.array([[np.nan]]),
        "adapter_init/weight": np.stack([features[labels == c].sum(0) for c in range(C)]) / shots,
        "adapter_init_unbalanced/weight": np.stack([features[unbalanced == c].sum(0) for c in range(C)]) / shots,
        "load_aux_weight/features": unit(raw.astype(np.float64).mean(0)),
        "text/clip_weights": columns,
        "tfm/clip": (images - CLIP[0].reshape(3, 1, 1)) / CLIP[1].reshape(3, 1, 1),
        "tfm/aux": (images - IMAGENET[0].reshape(3, 1, 1)) / IMAGENET[1].reshape(3, 1, 1),
        "tfm_test/out_uint8": small.transpose(2, 0, 1),
    }
    for kind in ("entropy", "energy", "max", "max-min", "var", "top5", "moment", "none"):
        for power in (0.25, 0.5, 2.0):
            outputs[f"uncertainty/{kind}/p{power}"] = released_weight(logits, kind, power)
    inputs: Arrays = {
        "logit_normalize/in": logits,
        "uncertainty/logits": logits,
        "uncertainty_edge/logits": edge,
        "adapter_init/features": features,
        "adapter_init/labels": labels,
        "adapter_init_unbalanced/labels": unbalanced,
        "load_aux_weight/raw": raw,
        "text/prompt_embeddings": prompts,
        "tfm/images": images,
        "tfm_test/image": picture,
    }
    builder = Builder(tmp_path / "other")
    builder.add("amu_units.npz", inputs, outputs)
    assert compare(builder.folder) == (0, [f"{len(outputs)} outputs compared, 0 failed"])


def test_raft_alpha_of_another_size(tmp_path: Path, compare: Any) -> None:
    random = np.random.RandomState(6)
    inputs: Arrays = {}
    outputs: Arrays = {}
    for case, (N, C, low, high, steps) in {
        "a": (7, 3, 0.0, 1.0, 4),
        "b1": (400, 21, 0.0, 2.0, 25),
        "c": (1, 2, -1.0, 1.0, 1),
    }.items():
        zero_shot, region = (random.normal(size=(N, C)).astype(np.float32) * 10 for _ in range(2))
        labels = random.randint(0, C, N)
        alphas = np.array([i * (high - low) / steps + low for i in range(steps + 1)])
        mixed = [np.float32(a) * region + np.float32(1 - a) * zero_shot for a in alphas]
        accuracies = np.array([100 * (logits.argmax(1) == labels).mean() for logits in mixed])
        best = int(accuracies.argmax())
        inputs |= {f"{case}/clip_logits": zero_shot, f"{case}/cls_logits": region, f"{case}/labels": labels}
        inputs |= {f"{case}/search": np.array([low, high, steps])}
        outputs |= {
            f"{case}/alphas": alphas,
            f"{case}/accs": accuracies,
            f"{case}/best_alpha": alphas[best],
            f"{case}/zs_last_best": accuracies[[0, -1, best]],
            f"{case}/fused_at_best": mixed[best],
        }
    builder = Builder(tmp_path / "other")
    builder.add("raft_alpha.npz", inputs, outputs)
    assert compare(builder.folder) == (0, ["15 outputs compared, 0 failed"])


def attention(tokens: Array, weights: Arrays, prefix: str, heads: int, readouts: int) -> Array:
    """Multi-head attention over tokens (N, T, E), read out at the first ones: (readouts, N, O)."""

    def project(name: str) -> Array:
        values = tokens @ weights[f"{prefix}{name}_proj.weight"].T + weights[f"{prefix}{name}_proj.bias"]
        return values.reshape(*values.shape[:2], heads, -1)

    q, k, v = (project(name) for name in "qkv")
    scores = softmax(np.einsum("nqhd,nkhd->nhqk", q[:, :readouts], k) / np.sqrt(k.shape[-1]))
    pooled = np.einsum("nhqk,nkhd->qnhd", scores, v).reshape(readouts, len(tokens), -1)
    return np.asarray(pooled @ weights[f"{prefix}c_proj.weight"].T + weights[f"{prefix}c_proj.bias"])


@pytest.mark.parametrize(("S", "E", "H", "O"), [(1, 8, 1, 3), (2, 24, 8, 5), (5, 16, 2, 16)])
def test_raft_pool_of_another_size(S: int, E: int, H: int, O: int, tmp_path: Path, compare: Any) -> None:  # noqa: E741, N803
    random = np.random.RandomState(7)
    maps = random.normal(size=(3, E, S, S))
    inputs = {"featmaps": maps}
    for prefix, rows in (("clip/", S * S + 1), ("pert/", S * S + 2)):
        inputs[f"{prefix}positional_embedding"] = random.normal(size=(rows, E)) / E**0.5
        for name, width in (("k", E), ("q", E), ("v", E), ("c", O)):
            inputs[f"{prefix}{name}_proj.weight"] = random.normal(size=(width, E)) / E**0.5
            inputs[f"{prefix}{name}_proj.bias"] = random.normal(size=width)
    inputs = {key: value.astype(np.float32) for key, value in inputs.items()}
    exact = {key: value.astype(np.float64) for key, value in inputs.items()}
    regions = exact["featmaps"].reshape(3, E, -1).transpose(0, 2, 1)
    mean = regions.mean(1, keepdims=True)
    clip_rows = exact["clip/positional_embedding"]
    changed = np.concatenate([clip_rows[:1], clip_rows])
    two = np.concatenate([mean, mean, regions], axis=1)
    start = attention(two + changed, exact, "clip/", H, 2)
    moved = attention(two + exact["pert/positional_embedding"], exact, "pert/", H, 2)
    outputs = {
        "positional_embedding_changed": changed,
        "init/cls": start[0],
        "init/bg": start[1],
        "clip_vec": attention(np.concatenate([mean, regions], axis=1) + clip_rows, exact, "clip/", H, 1)[0],
        "pert/out_cls": moved[0],
        "pert/out_bg": moved[1],
    }
    builder = Builder(tmp_path / "other")
    builder.add("raft_pool.npz", inputs, outputs, num_heads=H)
    assert compare(builder.folder) == (0, ["6 outputs compared, 0 failed"])


def test_raft_schedules_of_other_lengths(tmp_path: Path, compare: Any) -> None:
    cases = [(1e-4, 12, 3, 10), (0.5, 4, 1, 1), (2e-3, 3, 7, 0), (1e-3, 5, 2, 9)]  # the last warm-up is too long
    inputs: Arrays = {
        f"case/{name}": np.array([case[index] for case in cases])
        for index, name in enumerate(("lr", "epochs", "iters_per_epoch", "warmup_epochs"))
    }
    outputs: Arrays = {"case/error": np.array(["", "", "", "ValueError"])}
    for number, (lr, epochs, per_epoch, warmup) in enumerate(cases[:3]):
        total, rising = epochs * per_epoch, warmup * per_epoch
        falling = total - rising
        rates = np.concatenate(
            [np.linspace(0, lr, rising), 1e-6 + 0.5 * (lr - 1e-6) * (1 + np.cos(np.pi * np.arange(falling) / falling))]
        )
        outputs |= {f"{number}/schedule": rates, f"{number}/lr_used": np.concatenate([[0.0], rates[:-1]])}
    builder = Builder(tmp_path / "other")
    builder.add("raft_sched.npz", inputs, outputs)
    assert compare(builder.folder) == (0, ["7 outputs compared, 0 failed"])


def test_amu_forward_of_another_size(tmp_path: Path, compare: Any) -> None:
    """Gradients by central differences in double precision."""
    random = np.random.RandomState(8)
    N, C, D, F = 5, 6, 4, 3
    clip, aux = random.normal(size=(N, D)) * 3, random.normal(size=(N, F)) * 5
    text, weight = unit(random.normal(size=(D, C)).T).T, random.normal(size=(C, F))
    clip, aux, text, weight = (values.astype(np.float32).astype(np.float64) for values in (clip, aux, text, weight))
    labels = random.randint(0, C, N)
    cases = [("none", 0.5, 0.4, 0.35), ("entropy", 2.0, 0.2, 0.9), ("max-min", 0.1, 1.0, 0.0)]
    zero_shot = 100 * unit(clip) @ text

    def auxiliary(matrix: Array) -> Array:
        raw = unit(aux) @ matrix.T
        return np.asarray((raw - raw.mean(1, keepdims=True)) / raw.std(1, ddof=1, keepdims=True))

    def losses(matrix: Array, kind: str, alpha: float, power: float) -> tuple[Array, float, float]:
        s_aux = auxiliary(matrix)
        fused = zero_shot + alpha * released_weight(zero_shot, kind, power) * s_aux
        picked = [-np.log(softmax(values)[np.arange(N), labels]).mean() for values in (fused, s_aux)]
        return fused, picked[0], picked[1]

    outputs: Arrays = {"clip_features_after": unit(clip), "aux_features_after": unit(aux)}
    outputs |= {"clip_logits": zero_shot, "aux_logits": auxiliary(weight)}
    for number, (kind, alpha, power, share) in enumerate(cases):
        fused, loss_fused, loss_aux = losses(weight, kind, alpha, power)
        gradient = np.zeros_like(weight)
        for index in np.ndindex(weight.shape):
            step = np.zeros_like(weight)
            step[index] = 1e-5
            ends = [losses(weight + sign * step, kind, alpha, power)[1:] for sign in (1, -1)]
            high, low = (share * end[0] + (1 - share) * end[1] for end in ends)
            gradient[index] = (high - low) / 2e-5
        outputs |= {
            f"{number}/logits": fused,
            f"{number}/loss_merge": np.array(loss_fused),
            f"{number}/loss_aux": np.array(loss_aux),
            f"{number}/loss": np.array(share * loss_fused + (1 - share) * loss_aux),
            f"{number}/grad": gradient,
            f"{number}/cls_acc": np.array(100 * (fused.argmax(1) == labels).mean()),
        }
    exact = {"clip_features": clip, "aux_features": aux, "clip_weights": text, "adapter_weight": weight}
    inputs: Arrays = {key: value.astype(np.float32) for key, value in exact.items()} | {"labels": labels}
    for position, name in enumerate(("uncent_type", "alpha", "uncent_power", "lambda_merge")):
        inputs[f"case/{name}"] = np.array([case[position] for case in cases])
    builder = Builder(tmp_path / "other")
    builder.add("amu_forward.npz", inputs, outputs)
    assert compare(builder.folder) == (0, [f"{4 + 6 * len(cases)} outputs compared, 0 failed"])


def test_what_the_manifest_does_not_list_has_no_check(tmp_path: Path, compare: Any) -> None:
    folder = copied(tmp_path / "copy", "raft_alpha.npz", raft_alpha=lambda a: a.update(extra=np.zeros(2)))
    np.savez(folder / "other.npz", x=np.zeros(1))
    status, lines = compare(folder)
    assert status == 1
    assert "raft_alpha.npz extra: no check" in lines
    assert "other.npz: no check, the manifest does not list it" in lines


def test_a_reference_that_is_not_finite_fails_but_for_the_edge_cases(tmp_path: Path, compare: Any) -> None:
    key = "uncertainty/top5/p0.4"
    folder = copied(tmp_path / "copy", "amu_units.npz", amu_units=lambda a: a[key].fill(np.nan))
    status, lines = compare(folder)
    assert status == 1 and f"amu_units.npz {key}: the reference is not finite" in lines


def test_an_unknown_role_counts_as_an_output(tmp_path: Path, compare: Any) -> None:
    folder = copied(tmp_path / "copy", "raft_alpha.npz")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["raft_alpha.npz"]["keys"]["inner/labels"]["role"] = "expected"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    status, lines = compare(folder)
    assert status == 1 and "raft_alpha.npz inner/labels: no check" in lines


def test_files_that_cannot_be_read_and_empty_folders_fail(
    tmp_path: Path, compare: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(tmp_path / "copy", "raft_alpha.npz", "amu_forward.npz")
    (folder / "raft_alpha.npz").unlink()
    (folder / "amu_forward.npz").write_bytes(b"damaged")
    status, lines = compare(folder)
    assert status == 1 and any("amu_forward.npz 0/loss: the file cannot be read" in line for line in lines)
    (folder / "manifest.json").write_text('{"files": {}}')
    assert golden.main([str(folder)]) == 1
    for text in ("[]", "no json"):
        (folder / "manifest.json").write_text(text)
        assert golden.main([str(folder)]) == 2
    assert "is no manifest of fixtures" in capsys.readouterr().err


def test_one_group_that_fails_leaves_the_others_their_checks(tmp_path: Path, compare: Any) -> None:
    folder = copied(tmp_path / "copy", "raft_text.npz", raft_text=lambda a: a.pop("pure/bg_prompt_embeddings"))
    status, lines = compare(folder)
    assert status == 1 and lines[-1].endswith(" 1 failed")
    assert lines[0].startswith("raft_text.npz pure/text_feats: no check (raft_text_averages stopped: KeyError")
