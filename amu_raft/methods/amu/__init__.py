"""AMU-Tuning: frozen CLIP plus a linear classifier on auxiliary features, fused by CLIP's uncertainty.

Source: AMU-Tuning: Effective Logit Bias for CLIP-based Few-shot Learning (CVPR 2024). Where paper and released code
differ see docs/fidelity.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from amu_raft.methods.amu.adapter import INITIALIZATIONS, Adapter, average_views, initial_weight
from amu_raft.methods.amu.fusion import UNCERTAINTY_KINDS, amu_logits, uncertainty_weight
from amu_raft.methods.amu.losses import amu_loss
from amu_raft.methods.amu.released import read_adapter, write_adapter
from amu_raft.methods.amu.tuning import LambdaTrials, check_tuning, configured_fusion, tune_fusion
from amu_raft.methods.contract import Method
from amu_raft.methods.given import (
    Branches,
    Explanation,
    Features,
    Loss,
    Released,
    Task,
    TrainingFeatures,
    Trials,
    Validation,
)
from amu_raft.methods.recipe import TINY, Recipe
from amu_raft.methods.registry import register
from amu_raft.methods.selection import Tuning
from amu_raft.methods.settings import MethodSettings, one_of, within

TUNE_CHOICES = ("off", "post_hoc", "all", "kept")


@dataclass(frozen=True)
class AMUSettings(MethodSettings):
    """Settings with the values of the paper and the released code.

    Attributes:
        aux_encoder: Name of an auxiliary encoder, or the path of a ResNet checkpoint.
        fusion_alpha: alpha.
        loss_lambda: lambda, the share of the fused loss.
        uncertainty: Kind of ``fusion``; the released command lines run with "none".
        uncertainty_power: Its exponent.
        standardize_aux: Released form; False takes the adapter's logits as they are, the paper's form.
        init: class_mean, released, random.
        augment_epoch: Augmented passes that the initial class means are averaged over.
        tune: off; post_hoc: alpha, kind and power from logits, without training; all: lambda too, by training with each
            value; kept: as chosen for the model that is evaluated.
        tune_alphas: Multiples of alpha to try. Lists are text, numbers separated by commas.
        tune_uncertainties: Kinds to try.
        tune_powers: Exponents to try.
        tune_lambdas: Values of lambda to try.
    """

    aux_encoder: str = "mocov3_rn50"
    fusion_alpha: float = 0.5
    loss_lambda: float = 0.35
    uncertainty: str = "kurtosis"
    uncertainty_power: float = 0.4
    standardize_aux: bool = True
    init: str = "class_mean"
    augment_epoch: int = 1
    tune: str = "post_hoc"
    tune_alphas: str = "0.25, 0.5, 0.75, 1, 1.5, 2, 3"
    tune_uncertainties: str = "kurtosis, none, entropy, max"
    tune_powers: str = "0.2, 0.4, 0.8"
    tune_lambdas: str = "0.15, 0.35, 0.6, 0.85"

    def __post_init__(self) -> None:
        one_of(self, "uncertainty", UNCERTAINTY_KINDS)
        one_of(self, "init", INITIALIZATIONS)
        within(self, "augment_epoch", 1)
        within(self, "loss_lambda", 0, 1)
        within(self, "uncertainty_power", 0)
        one_of(self, "tune", TUNE_CHOICES)


@register
class AMU(Method):
    """AMU-Tuning: logits s = s0 + alpha * u(s0) * s_aux; only the linear map to s_aux is trained."""

    Settings = AMUSettings
    recipe = Recipe(batch_size=8)
    recipes: ClassVar[dict[str, Recipe]] = {
        "tiny": Recipe(
            lr=0.003, batch_size=8, settings={"aux_encoder": "tiny", "fusion_alpha": 4.0, "tune": "off"}, **TINY
        )
    }
    reads = ("clip", "aux")
    tensors: ClassVar[dict[str, str]] = {"adapter.fc.weight": "C F"}
    saved_as = "adapter"
    decides = "fused"
    chosen = ("fusion_alpha", "uncertainty", "uncertainty_power", "standardize_aux")

    @classmethod
    def check(cls, settings: AMUSettings, recipe: Recipe, backbone: str) -> None:
        """Refuse what cannot be tuned."""
        check_tuning(settings, recipe.num_views)

    def build(self, task: Task) -> None:
        """Make the adapter; its weight comes with the first training images."""
        self.adapter = Adapter(torch.zeros(self.num_classes, task.widths["aux"]))
        self.loss_lambda = self.settings.loss_lambda
        self.lambda_trials = LambdaTrials()

    @property
    def trained(self) -> nn.Module:
        """The adapter."""
        return self.adapter

    def start(self, training: TrainingFeatures) -> None:
        """Begin with the class means of the training images' auxiliary features."""
        raw = training.views("aux", self.settings.augment_epoch)
        generator = torch.Generator().manual_seed(training.seed)
        weight = initial_weight(
            average_views(raw), training.labels, self.num_classes, how=self.settings.init, generator=generator
        )
        with torch.no_grad():
            self.adapter.fc.weight.copy_(weight)

    def loss(self, features: Features, labels: Tensor) -> Loss:
        """lambda * CE(s, y) + (1 - lambda) * CE(s_aux, y), with the configured fusion whatever is chosen later."""
        logits = self._fuse(features, configured_fusion(self.settings)._asdict())
        loss = amu_loss(logits["fused"], logits["aux"], labels, fused_weight=self.loss_lambda)
        return Loss(loss.total, logits["fused"], {"loss_fused": loss.fused, "loss_aux": loss.aux})

    def branches(self, features: Features) -> Branches:
        """Zero-shot, auxiliary and fused logits; no auxiliary ones if the adapter knows none of the classes."""
        logits = self._fuse(features, self.choices)
        return logits if self.num_known else {name: logits[name] for name in ("zero_shot", "fused")}

    def _fuse(self, features: Features, fusion: Mapping[str, Any]) -> Branches:
        return amu_logits(
            features["clip"],
            features["aux"],
            self.text_columns,
            self.adapter,
            logit_scale=self.task.logit_scale,
            fusion_alpha=fusion["fusion_alpha"],
            kind=fusion["uncertainty"],
            power=fusion["uncertainty_power"],
            standardize=self.choices["standardize_aux"],
            known=self.known,
        )._asdict()

    def choose_by_training(self, trials: Trials, validation: Validation) -> str:
        """Choose lambda, by training with each value, if ``tune`` is "all"."""
        return self.lambda_trials.choose(self, trials, validation) if self.settings.tune == "all" else ""

    def choose(self, validation: Validation) -> Tuning | None:
        """Choose alpha, uncertainty kind and power from logits of validation images."""
        branches, labels = validation()
        tuning = tune_fusion(self.settings, branches["zero_shot"], branches["aux"], labels)
        return self.settle(self.lambda_trials.put_before(tuning, self.loss_lambda))

    def _weight(self, zero_shot: Tensor) -> Tensor:
        kind, power = self.choices["uncertainty"], self.choices["uncertainty_power"]
        return uncertainty_weight(zero_shot, kind=kind, power=power).squeeze(1)

    def numbers(self, branches: Branches) -> dict[str, Tensor]:
        """The weight of the auxiliary logits: uncertainty times alpha."""
        return {"weight": self._weight(branches["zero_shot"]) * self.choices["fusion_alpha"]}

    def explain(self, features: Features, branches: Branches) -> Explanation:
        """Zero-shot logits, weighted auxiliary ones and their sum."""
        bias = branches["fused"] - branches["zero_shot"]
        parts = {"zero-shot logit": branches["zero_shot"], "weight {weight:.3g} x bias": bias, "sum": branches["fused"]}
        return Explanation(parts)

    def columns(self, branches: Branches) -> dict[str, Tensor]:
        """Record the uncertainty weight, and the class that the auxiliary logits alone would choose."""
        columns = {"weight": self._weight(branches["zero_shot"]).cpu()}
        if "aux" in branches:
            columns["aux_prediction"] = branches["aux"].argmax(dim=1).int().cpu()
        return columns

    def facts(self) -> dict[str, Any]:
        """Record how the branches were fused, and for how many classes there was anything to fuse."""
        fusion = {name: value for name, value in self.choices.items() if name != "standardize_aux"}
        known = {"known_classes": self.num_known, "num_classes": self.num_classes}
        return {**fusion, "loss_lambda": self.loss_lambda, **known}

    def kept_choices(self) -> dict[str, Any]:
        """Name standardisation as model folders have always done."""
        kept = super().kept_choices()
        return {"standardize" if name == "standardize_aux" else name: value for name, value in kept.items()}

    @classmethod
    def from_folder(cls, task: Task, tensors: Mapping[str, Tensor], choices: Mapping[str, Any]) -> Method:
        """Read choices by the names of ``kept_choices``."""
        named = {"standardize_aux" if name == "standardize" else name: value for name, value in choices.items()}
        return super().from_folder(task, tensors, named)

    @classmethod
    def read_released(cls, path: Path, load: Any, settings: Any) -> Released:
        """Read an adapter; the width of its features says which way round it lies."""
        encoder = load.aux_encoder()
        weight, note = read_adapter(path, encoder.feature_dim)
        about = f"adapter of {len(weight)} classes on {encoder.feature_dim} features{f'; {note}' if note else ''}"
        return Released({"fc.weight": weight}, about, len(weight), {"aux encoder sha256": encoder.sha256})

    @classmethod
    def write_released(cls, state: Mapping[str, Tensor], path: Path) -> None:
        """Write an adapter."""
        if list(state) != ["fc.weight"]:
            raise ValueError("this is no adapter: its state dict must hold fc.weight alone")
        write_adapter(state["fc.weight"], path)
