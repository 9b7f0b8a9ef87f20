"""Recompute a folder of reference numbers with the project's own modules.

    python -m tests.golden DIR

DIR holds npz files and a manifest.json that gives every array's role and tolerance. One line per mismatch, then
``N outputs compared, M failed``; exit status 1 if any failed or has no check.
"""

import argparse
import contextlib
import io
import itertools
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from amu_raft.backbones.clip_backbone import CLIPBackbone
from amu_raft.backbones.precision import Precision
from amu_raft.backbones.preprocess import CLIP_STATISTICS, IDENTITY, IMAGENET_STATISTICS, renormalize, unit_rows
from amu_raft.backbones.text_classifier import (
    average_per_class,
    build_text_classifier,
    encode_prompts,
    fill_templates,
    tokenize,
)
from amu_raft.methods.amu.adapter import Adapter, average_views, initial_weight
from amu_raft.methods.amu.fusion import amu_logits, standardize_logits, uncertainty_weight
from amu_raft.methods.amu.losses import amu_loss
from amu_raft.methods.raft.alpha_search import mix_logits, search_alpha
from amu_raft.methods.raft.background import average_background, build_background_column
from amu_raft.methods.raft.losses import RAFTLoss, RegionLogits, raft_loss, region_logits
from amu_raft.methods.raft.region_attention import POOLINGS, RegionAttention
from amu_raft.methods.schedules import TableScheduler, cosine_table, released_order, warmup_cosine_table
from amu_raft.methods.selection import accuracy_percent
from dassl.config import get_cfg_default
from dassl.data.transforms import build_transform
from dassl.optim import build_optimizer
from tests.golden_methods import METHOD_GROUPS

Result = Iterator[tuple[str, Any]]
PROJECTIONS = ("k_proj", "q_proj", "v_proj", "c_proj")


class Fixture:
    """One npz file: tensors by key, and the manifest's entry for it."""

    def __init__(self, path: Path, entry: dict[str, Any], sizes: dict[str, Any]) -> None:
        self.sizes = sizes
        self.pooling = POOLINGS[0]
        with np.load(path, allow_pickle=False) as archive:
            self.arrays = {key: archive[key] for key in archive.files}
        self.entry = entry

    def __getitem__(self, key: str) -> Tensor:
        return torch.from_numpy(np.array(self.arrays[key]))

    def number(self, key: str) -> float:
        return float(self.arrays[key])

    def text(self, key: str) -> list[str]:
        return [str(item) for item in np.atleast_1d(self.arrays[key])]

    @property
    def heads(self) -> int:
        """Attention heads of RAFT's fixtures; the arrays alone do not tell."""
        return int(self.sizes["raft"]["H"])

    def shape(self, key: str) -> tuple[int, ...]:
        """Shape that the manifest gives an array, which also holds if the array itself is missing."""
        stated = self.entry["keys"][key].get("shape")
        return tuple(self.arrays[key].shape if stated is None else stated)

    def outputs(self) -> list[str]:
        return [key for key, meta in self.entry["keys"].items() if meta["role"] == "output"]

    def indices(self, pattern: str) -> list[str]:
        """First groups of all keys that match, in order, each once."""
        found = (re.fullmatch(pattern, key) for key in self.arrays)
        return list(dict.fromkeys(match.group(1) for match in found if match))


# ---------------------------------------------------------------------------------------------------------------- AMU


def amu_logits_units(fixture: Fixture) -> Result:
    yield "logit_normalize/out", standardize_logits(fixture["logit_normalize/in"])


def amu_uncertainty(fixture: Fixture) -> Result:
    for key in fixture.outputs():
        if match := re.fullmatch(r"(uncertainty(?:_edge)?)/([^/]+)/p([\d.]+)", key):
            group, kind, power = match.groups()
            weights = uncertainty_weight(fixture[f"{group}/logits"], kind=kind, power=float(power))
            yield key, weights[: max(fixture.shape(key)[:1], default=1)]


def amu_adapter(fixture: Fixture) -> Result:
    for group in ("adapter_init", "adapter_init_unbalanced"):
        key = f"{group}/weight"
        if key in fixture.outputs():
            weight = initial_weight(
                fixture["adapter_init/features"], fixture[f"{group}/labels"], fixture.shape(key)[0], how="released"
            )
            yield key, weight


def amu_views(fixture: Fixture) -> Result:
    yield "load_aux_weight/features", average_views(fixture["load_aux_weight/raw"])


def amu_text(fixture: Fixture) -> Result:
    prompts = fixture["text/prompt_embeddings"]
    yield "text/clip_weights", average_per_class(prompts.flatten(0, 1), [prompts.shape[1]] * len(prompts))


def amu_pixels(fixture: Fixture) -> Result:
    yield "tfm/clip", renormalize(fixture["tfm/images"], IDENTITY, CLIP_STATISTICS)
    yield "tfm/aux", renormalize(fixture["tfm/images"], IDENTITY, IMAGENET_STATISTICS)


def amu_transform(fixture: Fixture) -> Result:
    size = fixture.shape("tfm_test/out_uint8")[-1]
    pixels = (_test_transform(fixture["tfm_test/image"], size, ()) * 255).round().to(torch.uint8)
    yield "tfm_test/out_uint8", pixels


def amu_forward(fixture: Fixture) -> Result:
    yield "clip_features_after", unit_rows(fixture["clip_features"])
    yield "aux_features_after", unit_rows(fixture["aux_features"])
    labels = fixture["labels"]
    for case, kind in enumerate(fixture.text("case/uncent_type")):
        adapter = Adapter(fixture["adapter_weight"])
        logits = amu_logits(
            fixture["clip_features"],
            fixture["aux_features"],
            fixture["clip_weights"],
            adapter,
            logit_scale=100.0,
            fusion_alpha=float(fixture["case/alpha"][case]),
            kind=kind,
            power=float(fixture["case/uncent_power"][case]),
        )
        loss = amu_loss(logits.fused, logits.aux, labels, fused_weight=float(fixture["case/lambda_merge"][case]))
        loss.total.backward()
        if case == 0:
            yield "clip_logits", logits.zero_shot
            yield "aux_logits", logits.aux
        yield f"{case}/logits", logits.fused
        yield f"{case}/loss_merge", loss.fused
        yield f"{case}/loss_aux", loss.aux
        yield f"{case}/loss", loss.total
        yield f"{case}/grad", adapter.fc.weight.grad
        yield f"{case}/cls_acc", accuracy_percent(logits.fused, labels)


def amu_train(fixture: Fixture) -> Result:
    for run in fixture.indices(r"(\d+)/cfg/lr"):
        yield from _amu_run(fixture, run)


def _amu_run(fixture: Fixture, run: str) -> Result:
    labels, batch_size = fixture["train_labels"], int(fixture.number("batch_size"))
    epochs, lr = int(fixture.number(f"{run}/cfg/epochs")), fixture.number(f"{run}/cfg/lr")
    settings: dict[str, Any] = {
        "logit_scale": 100.0,
        "fusion_alpha": fixture.number(f"{run}/cfg/alpha"),
        "kind": fixture.text(f"{run}/cfg/uncent_type")[0],
        "power": fixture.number(f"{run}/cfg/uncent_power"),
    }
    text = fixture["clip_weights"]
    adapter = Adapter(initial_weight(fixture["init_features"], labels, text.shape[1], how="released"))
    yield f"{run}/weight_init", adapter.fc.weight.detach().clone()
    batches = [slice(start, start + batch_size) for start in range(0, len(labels), batch_size)]
    optimizer = _adamw(adapter, lr)
    scheduler = TableScheduler(optimizer, cosine_table(lr, total_steps=epochs * len(batches)))
    steps: dict[str, list[float]] = {name: [] for name in ("loss", "loss_merge", "loss_aux", "lr", "train_acc")}
    epoch_weights, test_acc, test_acc_aux = [], [], []
    for _ in range(epochs):
        for batch in batches:
            logits = amu_logits(
                fixture["train_clip_features"][batch], fixture["train_aux_features"][batch], text, adapter, **settings
            )
            loss = amu_loss(
                logits.fused, logits.aux, labels[batch], fused_weight=fixture.number(f"{run}/cfg/lambda_merge")
            )
            steps["lr"].append(optimizer.param_groups[0]["lr"])
            for name, value in (("loss", loss.total), ("loss_merge", loss.fused), ("loss_aux", loss.aux)):
                steps[name].append(value.item())
            steps["train_acc"].append(accuracy_percent(logits.fused, labels[batch]))
            optimizer.zero_grad()
            loss.total.backward()
            optimizer.step()
            scheduler.step()
        with torch.no_grad():
            test = amu_logits(fixture["test_clip_features"], fixture["test_aux_features"], text, adapter, **settings)
        test_acc.append(accuracy_percent(test.fused, fixture["test_labels"]))
        test_acc_aux.append(accuracy_percent(test.aux, fixture["test_labels"]))
        epoch_weights.append(adapter.fc.weight.detach().clone())
    yield from ((f"{run}/{name}", np.array(values)) for name, values in steps.items())
    best = test_acc.index(max(test_acc))
    yield f"{run}/test_acc", np.array(test_acc)
    yield f"{run}/test_acc_aux", np.array(test_acc_aux)
    yield f"{run}/weight_final", epoch_weights[-1]
    yield f"{run}/weight_best", epoch_weights[best]
    yield f"{run}/best_epoch", best + 1
    yield f"{run}/best_acc", test_acc[best]


# --------------------------------------------------------------------------------------------------------------- RAFT


def _clip_pool(fixture: Fixture, prefix: str, heads: int) -> nn.Module:
    from amu_raft.backbones.clip_package import clip_model

    rows, width = fixture.arrays[f"{prefix}positional_embedding"].shape
    output = fixture.arrays[f"{prefix}c_proj.weight"].shape[0]
    pool: nn.Module = clip_model.AttentionPool2d(round((rows - 1) ** 0.5), width, heads, output)
    pool.load_state_dict(_parameters(fixture, prefix))
    return pool


def _parameters(fixture: Fixture, prefix: str) -> dict[str, Tensor]:
    names = ["positional_embedding", *(f"{name}.{part}" for name in PROJECTIONS for part in ("weight", "bias"))]
    return {name: fixture[f"{prefix}{name}"] for name in names}


def _region_attention(fixture: Fixture, prefix: str, heads: int) -> RegionAttention:
    """Build the layer from a CLIP pooling of the right size, then load the fixture's (L + 2)-row parameters."""
    from amu_raft.backbones.clip_package import clip_model

    rows, width = fixture.arrays[f"{prefix}positional_embedding"].shape
    output = fixture.arrays[f"{prefix}c_proj.weight"].shape[0]
    pool = clip_model.AttentionPool2d(round((rows - 2) ** 0.5), width, heads, output)
    layer = RegionAttention(pool, pooling=fixture.pooling)
    layer.load_state_dict(_parameters(fixture, prefix))
    return layer


def raft_pool(fixture: Fixture) -> Result:
    heads = int(fixture.entry["config"]["num_heads"])
    pool, maps = _clip_pool(fixture, "clip/", heads), fixture["featmaps"]
    fresh = RegionAttention(pool, pooling=fixture.pooling)
    yield "positional_embedding_changed", fresh.positional_embedding
    yield from zip(("init/cls", "init/bg"), fresh(maps), strict=True)
    backbone = _bare_backbone()
    backbone.model.visual.attnpool = pool
    yield "clip_vec", backbone.pool_maps(maps)
    yield from zip(("pert/out_cls", "pert/out_bg"), _region_attention(fixture, "pert/", heads)(maps), strict=True)


def raft_forward(fixture: Fixture) -> Result:
    for state in fixture.indices(r"(\w+)/param/positional_embedding"):
        for number, case in enumerate(fixture.indices(rf"{state}/(\d+)/loss")):
            layer = _region_attention(fixture, f"{state}/param/", fixture.heads)
            logits = _raft_logits(layer, fixture["featmaps"], fixture["clip_vec"], fixture["text_feats"])
            if number == 0:
                yield f"{state}/clip_logits", logits.zero_shot
                yield f"{state}/cls_logits", logits.region
                yield f"{state}/bg_logits", logits.background
                yield f"{state}/cls_vec", logits.class_vectors
                yield f"{state}/bg_vec", logits.background_vectors
            weights = {
                name: float(fixture[f"case/{name}"][int(case)]) for name in ("lambda1", "lambda2", "tau1", "tau2")
            }
            loss = _raft_loss(logits, fixture["labels"], weights)
            loss.total.backward()
            yield f"{state}/{case}/losses", torch.stack(loss[1:])
            yield f"{state}/{case}/loss", loss.total
            for name, parameter in layer.named_parameters():
                yield f"{state}/{case}/grad/{name}", parameter.grad


def raft_sched(fixture: Fixture) -> Result:
    recorded = fixture.text("case/error") if "case/error" in fixture.arrays else []
    errors = [""] * len(fixture["case/lr"])
    for case, expected_error in enumerate(recorded or errors):
        epochs, per_epoch, warmup = (
            int(fixture[f"case/{name}"][case]) for name in ("epochs", "iters_per_epoch", "warmup_epochs")
        )
        try:
            table = warmup_cosine_table(
                float(fixture["case/lr"][case]),
                total_steps=epochs * per_epoch,
                warmup_steps=warmup * per_epoch,
                released=True,
            )
        except ValueError:
            errors[case] = expected_error or "ValueError"
            continue
        yield f"{case}/schedule", np.array(table)
        yield f"{case}/lr_used", np.array(_rates_in_use(table))
    yield "case/error", np.array(errors)


def _rates_in_use(table: list[float]) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = TableScheduler(optimizer, released_order(table))
    rates = []
    for _ in table:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def raft_train(fixture: Fixture) -> Result:
    for run in fixture.indices(r"(\d+)/cfg/lr"):
        yield from _raft_run(fixture, run)


def _raft_run(fixture: Fixture, run: str) -> Result:
    start_key = f"{run}/cfg/start"
    start = fixture.text(start_key)[0] if start_key in fixture.arrays else "init"
    layer = _region_attention(fixture, f"{start}/", fixture.heads)
    sizes = [int(size) for size in fixture["n_train_val_test"]]
    maps, vectors, labels = (fixture[name].split(sizes) for name in ("featmaps", "clip_vec", "labels"))
    text, batch_size = fixture["text_feats"], int(fixture.number("batch_size"))
    epochs, lr = int(fixture.number(f"{run}/cfg/epochs")), fixture.number(f"{run}/cfg/lr")
    weights = {name: fixture.number(f"{run}/cfg/{name}") for name in ("lambda1", "lambda2", "tau1", "tau2")}
    batches = [slice(first, first + batch_size) for first in range(0, sizes[0], batch_size)]
    table = warmup_cosine_table(lr, total_steps=epochs * len(batches), warmup_steps=10 * len(batches), released=True)
    optimizer = _adamw(layer, lr)
    scheduler = TableScheduler(optimizer, released_order(table))
    names = ("loss", "diff_loss", "con_loss", "cls_ce_loss", "bg_ce_loss")
    steps: dict[str, list[float]] = {name: [] for name in (*names, "lr")}
    first_rows = []
    for _ in range(epochs):
        for batch in batches:
            logits = _raft_logits(layer, maps[0][batch], vectors[0][batch], text)
            loss = _raft_loss(logits, labels[0][batch], weights)
            steps["lr"].append(optimizer.param_groups[0]["lr"])
            for name, value in zip(names, loss, strict=True):
                steps[name].append(value.item())
            optimizer.zero_grad()
            loss.total.backward()
            optimizer.step()
            scheduler.step()
            first_rows.append(layer.positional_embedding[:2].detach().clone())
    yield from ((f"{run}/{name}", np.array(values)) for name, values in steps.items())
    for key in fixture.outputs():
        if key.startswith(f"{run}/pos_emb_first2"):
            yield key, torch.stack(first_rows[: fixture.shape(key)[0]])
    yield from ((f"{run}/final/{name}", parameter) for name, parameter in layer.named_parameters())
    with torch.no_grad():
        val, test = (_raft_logits(layer, maps[part], vectors[part], text) for part in (1, 2))
    on_val = search_alpha(val.zero_shot, val.region, labels[1], rule="first_best")
    on_test = search_alpha(test.zero_shot, test.region, labels[2], rule="first_best")
    yield f"{run}/val/best_alpha", on_val.chosen["fusion_alpha"]
    yield f"{run}/val/zs_last_best_acc", _ends_and_best(on_val)
    yield f"{run}/test/clip_logits", test.zero_shot
    yield f"{run}/test/cls_logits", test.region
    yield f"{run}/test/zs_last_best_acc", _ends_and_best(on_test)
    yield f"{run}/test/oracle_alpha", on_test.chosen["fusion_alpha"]
    mixed = mix_logits(test.zero_shot, test.region, fusion_alpha=on_val.chosen["fusion_alpha"])
    yield f"{run}/test/acc_at_val_alpha", accuracy_percent(mixed, labels[2])


def raft_alpha(fixture: Fixture) -> Result:
    for case in fixture.indices(r"(\w+)/search"):
        zero_shot, region, labels = (fixture[f"{case}/{name}"] for name in ("clip_logits", "cls_logits", "labels"))
        low, high, steps = (float(value) for value in fixture[f"{case}/search"])
        found = search_alpha(zero_shot, region, labels, low=low, high=high, steps=int(steps), rule="first_best")
        yield f"{case}/alphas", found.axes["fusion_alpha"]
        yield f"{case}/accs", found.accuracies
        yield f"{case}/best_alpha", found.chosen["fusion_alpha"]
        yield f"{case}/zs_last_best", _ends_and_best(found)
        yield f"{case}/fused_at_best", mix_logits(zero_shot, region, fusion_alpha=found.chosen["fusion_alpha"])


def raft_text_averages(fixture: Fixture) -> Result:
    counts = [int(count) for count in fixture["pure/prompt_counts"]]
    columns = average_per_class(fixture["pure/class_prompt_embeddings"], counts)
    background = average_background(fixture["pure/bg_prompt_embeddings"])
    yield "pure/text_feats", torch.cat([columns, background.unsqueeze(1)], dim=1)


def raft_text_encoder(fixture: Fixture) -> Result:
    backbone = _text_backbone(fixture)
    prompts, names = fixture.text("enc/prompts"), fixture.text("enc/classnames")
    yield "enc/tokens", tokenize(prompts)
    yield "enc/bg_tokens", tokenize(fixture.text("enc/bg_prompts"))
    yield "enc/prompt_embeddings", encode_prompts(backbone, prompts)
    yield "enc/bg_embeddings", encode_prompts(backbone, fixture.text("enc/bg_prompts"))
    ends = np.cumsum([0, *(int(count) for count in fixture["enc/prompt_counts"])])
    per_class = [prompts[first:last] for first, last in itertools.pairwise(ends)]
    background = build_background_column(backbone, names).unsqueeze(1)
    listed = fill_templates(names, fixture.text("enc/list_templates"))
    yield "enc/text_feats", torch.cat([build_text_classifier(backbone, per_class), background], dim=1)
    yield "enc/text_feats_list", torch.cat([build_text_classifier(backbone, listed), background], dim=1)


def raft_transform(fixture: Fixture) -> Result:
    size = 4 * fixture.shape("tfm_test/out_every_4th")[-1]
    yield "tfm_test/out_every_4th", _test_transform(fixture["tfm_test/image"], size, ("normalize",))[:, ::4, ::4]


# -------------------------------------------------------------------------------------------------------------- parts


def _adamw(module: nn.Module, lr: float) -> torch.optim.Optimizer:
    settings = get_cfg_default().OPTIM
    settings.NAME, settings.LR, settings.WEIGHT_DECAY = "adamw", lr, 0.01
    groups = [{"params": list(module.parameters()), "eps": 1e-4}]
    optimizer: torch.optim.Optimizer = build_optimizer(module, settings, param_groups=groups)
    return optimizer


def _raft_logits(layer: RegionAttention, maps: Tensor, vectors: Tensor, text: Tensor) -> RegionLogits:
    class_vectors, background_vectors = layer(maps)
    return region_logits(vectors, class_vectors, background_vectors, text, logit_scale=100.0)


def _raft_loss(logits: RegionLogits, labels: Tensor, weights: dict[str, float]) -> RAFTLoss:
    return raft_loss(
        logits,
        labels,
        difference_weight=weights["lambda1"],
        consistency_weight=weights["lambda2"],
        region_temperature=weights["tau1"],
        background_temperature=weights["tau2"],
    )


def _ends_and_best(found: Any) -> Tensor:
    return torch.stack([found.accuracies[0], found.accuracies[-1], found.accuracies.max()])


def _test_transform(image: Tensor, size: int, choices: tuple[str, ...]) -> Tensor:
    cfg = get_cfg_default()
    cfg.VERBOSE = False
    cfg.INPUT.SIZE, cfg.INPUT.INTERPOLATION, cfg.INPUT.TRANSFORMS = (size, size), "bicubic", choices
    cfg.INPUT.PIXEL_MEAN = CLIP_STATISTICS.mean.flatten().tolist()
    cfg.INPUT.PIXEL_STD = CLIP_STATISTICS.std.flatten().tolist()
    with contextlib.redirect_stdout(io.StringIO()):  # the toolbox prints the steps of every transform
        transform = build_transform(cfg, is_train=False)
    assert transform is not None
    pixels: Tensor = transform(Image.fromarray(image.numpy()))
    return pixels


def _bare_backbone(**text_sizes: int) -> CLIPBackbone:
    from amu_raft.backbones.clip_package import clip_model

    sizes = {"context_length": 77, "vocab_size": 49408, "transformer_width": 8, "transformer_heads": 1}
    model = clip_model.CLIP(
        embed_dim=text_sizes.pop("embed_dim", 8),
        image_resolution=32,
        vision_layers=(1, 1, 1, 1),
        vision_width=8,
        vision_patch_size=None,
        **{**sizes, "transformer_layers": 1, **text_sizes},
    )
    return CLIPBackbone(model=model.eval(), name="fixture", sha256="", precision=Precision("fp32"))


def _text_backbone(fixture: Fixture) -> CLIPBackbone:
    """Put the fixture's text tower into the ``clip`` package's model; unused token rows are zero."""
    config = fixture.entry["config"]["encoder"]
    backbone = _bare_backbone(
        embed_dim=config["embed"],
        context_length=config["context_length"],
        vocab_size=config["vocab_size"],
        transformer_width=config["width"],
        transformer_heads=config["heads"],
        transformer_layers=config["layers"],
    )
    prefix = "enc/param/"
    state = {key.removeprefix(prefix): fixture[key] for key in fixture.arrays if key.startswith(prefix)}
    rows = state.pop("token_embedding_rows")
    table = torch.zeros(config["vocab_size"], config["width"])
    table[fixture["enc/used_token_ids"]] = rows
    result = backbone.model.load_state_dict({**state, "token_embedding.weight": table}, strict=False)
    if result.unexpected_keys:
        raise ValueError(f"text encoder fixture has unknown parameters: {result.unexpected_keys}")
    return backbone


# ------------------------------------------------------------------------------------------------------------ compare


# What recomputes a file: groups that do not need one another, so that one that fails leaves the others their checks.
GROUPS: dict[str, tuple[Callable[[Fixture], Result], ...]] = {
    "amu_units": (*(amu_logits_units, amu_uncertainty, amu_adapter, amu_views, amu_text, amu_pixels, amu_transform),),
    "amu_forward": (amu_forward,),
    "amu_train": (amu_train,),
    "raft_pool": (raft_pool,),
    "raft_forward": (raft_forward,),
    "raft_sched": (raft_sched,),
    "raft_train": (raft_train,),
    "raft_text": (raft_text_averages, raft_text_encoder, raft_transform),
    "raft_alpha": (raft_alpha,),
    **METHOD_GROUPS,
}

# Files whose outputs must come out whichever way regions are pooled; an output counts once.
POOLED = ("raft_pool", "raft_forward", "raft_train")


def recompute(name: str, fixture: Fixture) -> tuple[dict[str, Any], list[str]]:
    """Return every value that the project computes for a fixture file, and why groups of values are missing."""
    computed: dict[str, Any] = {}
    reasons = []
    for group in GROUPS.get(name, ()):
        try:
            for key, value in group(fixture):
                computed[key] = value
        except Exception as error:  # inputs may be missing or make no sense in any way
            reasons.append(f"{group.__name__} stopped: {type(error).__name__}: {' '.join(str(error).split())}")
    return computed, reasons


def difference(expected: np.ndarray, computed: Any, meta: dict[str, Any]) -> str | None:
    """Return why a computed value is not the expected one, or None."""
    found = computed.detach().numpy() if isinstance(computed, Tensor) else np.asarray(computed)
    if expected.dtype.kind in "US":
        return None if np.array_equal(expected, found) else f"expected {expected.tolist()}, got {found.tolist()}"
    if not np.isfinite(found).all():
        return "computed value is not finite"
    if expected.ndim == 0 and found.size and np.ptp(found) == 0:
        found = found.reshape(-1)[0]  # a constant that the reference keeps as one number
    if expected.shape != np.shape(found):
        return f"expected shape {expected.shape}, got {np.shape(found)}"
    rounding = float(meta.get("rounding_max_abs") or 0.0)
    finite = np.isfinite(expected)  # ours is finite where the reference is not
    gap = np.abs(np.where(finite, expected, 0).astype(np.float64) - np.where(finite, found, 0))
    allowed = max(1e-6, 20 * rounding) + 1e-5 * np.abs(np.where(finite, expected, 0))
    if (gap <= allowed).all():
        return None
    return f"largest difference {gap.max():.3g} where {float(allowed.flat[(gap - allowed).argmax()]):.3g} is allowed"


def compare(folder: Path) -> tuple[int, list[str]]:
    """Compare a folder; return the number of outputs and one line per failure."""
    manifest = json.loads((folder / "manifest.json").read_text())
    total, failures = 0, []
    for file, entry in manifest["files"].items():
        count, lines = _compare_file(folder / file, entry, manifest.get("sizes", {}))
        total += count
        failures += lines
    unlisted = sorted({path.name for path in folder.glob("*.npz")} - set(manifest["files"]))
    failures += [f"{file}: no check, the manifest does not list it" for file in unlisted]
    return total + len(unlisted), failures


def _compare_file(path: Path, entry: dict[str, Any], sizes: dict[str, Any]) -> tuple[int, list[str]]:
    outputs = [key for key, meta in entry["keys"].items() if meta["role"] not in ("input", "config")]
    try:
        fixture = Fixture(path, entry, sizes)
    except Exception as error:  # absent, cut short, or arrays that would run code
        return len(outputs), [f"{path.name} {key}: the file cannot be read ({type(error).__name__})" for key in outputs]
    unlisted = [key for key in fixture.arrays if key not in entry["keys"]]
    faults: dict[str, list[str | None]] = {key: [] for key in (*outputs, *unlisted)}
    for fixture.pooling in POOLINGS if path.stem in POOLED else POOLINGS[:1]:
        computed, reasons = recompute(path.stem, fixture)
        for key, found in faults.items():
            found.append(_fault(key, fixture, computed, reasons))
    failures = [f"{path.name} {key}: {_one_line(found)}" for key, found in faults.items() if any(found)]
    return len(faults), failures


def _one_line(faults: list[str | None]) -> str:
    """Return the first fault; what one way of pooling alone gets wrong is laid at its door."""
    number, first = next((number, fault) for number, fault in enumerate(faults) if fault)
    return first if all(faults) else f"{first} ({POOLINGS[number]} pooling)"


def _fault(key: str, fixture: Fixture, computed: dict[str, Any], reasons: list[str]) -> str | None:
    """Return why an output does not pass, or None."""
    if key not in fixture.arrays:
        return "missing from the file"
    if key not in computed or key not in fixture.entry["keys"]:
        return f"no check{''.join(f' ({reason})' for reason in reasons)}"
    return _mismatch(key, fixture.arrays[key], computed[key], fixture.entry["keys"][key])


def _mismatch(key: str, expected: np.ndarray, computed: Any, meta: dict[str, Any]) -> str | None:
    number = expected.dtype.kind not in "US"
    if number and not np.isfinite(expected).all() and not key.startswith("uncertainty_edge/"):
        return "the reference is not finite"
    return difference(expected, computed, meta)


def main(argv: list[str] | None = None) -> int:
    """Run the comparison from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with npz files and manifest.json")
    folder = parser.parse_args(argv).folder
    if not (folder / "manifest.json").is_file():
        print(f"error: no manifest.json in {folder}", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    try:
        total, failures = compare(folder)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"error: {folder / 'manifest.json'} is no manifest of fixtures: {error!r}", file=sys.stderr)
        return 2
    print("\n".join([*failures, f"{total} outputs compared, {len(failures)} failed"]))
    return 1 if failures or not total else 0


if __name__ == "__main__":
    sys.exit(main())
