"""RAFT: frozen CLIP whose copied attention pooling learns which image regions matter.

Source: Region Attention Fine-tuning with CLIP for Few-shot Classification (ICME 2024). Where paper and released code
differ see docs/fidelity.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from amu_raft.backbones.clip_backbone import check_attention_pooling
from amu_raft.methods.contract import Method
from amu_raft.methods.given import Branches, Explanation, Features, Loss, Released, Task, Validation
from amu_raft.methods.raft.alpha_search import ALPHA_RULES, mix_logits, search_alpha
from amu_raft.methods.raft.attention_maps import attention_maps
from amu_raft.methods.raft.background import BACKGROUND_TEMPLATE, average_background, background_sentences
from amu_raft.methods.raft.losses import RegionLogits, raft_loss, region_logits
from amu_raft.methods.raft.region_attention import POOLINGS, RegionAttention
from amu_raft.methods.raft.released import read_attention_pool, write_attention_pool
from amu_raft.methods.recipe import TINY, Recipe
from amu_raft.methods.registry import register
from amu_raft.methods.schedules import released_order, warmup_cosine_table
from amu_raft.methods.selection import Tuning
from amu_raft.methods.settings import MethodSettings, one_of, within

SCHEDULES = ("warmup_cosine", "released")
FIXED = "fixed"


@dataclass(frozen=True)
class RAFTSettings(MethodSettings):
    """Settings with the values of the released scripts.

    Attributes:
        lambda1: Weight of the difference between class and background vectors.
        lambda2: Weight of the consistency with CLIP's logits; 1.0 on ImageNet.
        tau1: Temperature of the class loss.
        tau2: Temperature of the background loss.
        pooling: "folded"; "plain" lets every region attend, as released: the same numbers, several times slower.
        schedule: "warmup_cosine"; "released" comes one step late, see docs/fidelity.md.
        final_lr: Where the cosine ends.
        alpha_rule: one_standard_error, first_best (released), fixed.
        fusion_alpha: alpha for the rule "fixed" and where there are no validation images.
        alpha_steps: Intervals of the grid between 0 and 1.
    """

    lambda1: float = 0.1
    lambda2: float = 0.5
    tau1: float = 2.0
    tau2: float = 3.0
    pooling: str = "folded"
    schedule: str = "warmup_cosine"
    final_lr: float = 1e-6
    alpha_rule: str = "one_standard_error"
    fusion_alpha: float = 1.0
    alpha_steps: int = 50

    def __post_init__(self) -> None:
        one_of(self, "pooling", POOLINGS)
        one_of(self, "schedule", SCHEDULES)
        one_of(self, "alpha_rule", (*ALPHA_RULES, FIXED))
        within(self, "fusion_alpha", 0, 1)
        within(self, "alpha_steps", 1, 100_000)
        for name, least in (("lambda1", 0), ("lambda2", 0), ("tau1", 1e-6), ("tau2", 1e-6), ("final_lr", 0)):
            within(self, name, least)


@register
class RAFT(Method):
    """RAFT: logits s = alpha * region + (1 - alpha) * zero-shot; only the copied pooling is trained."""

    Settings = RAFTSettings
    recipe = Recipe(lr=1e-4, batch_size=64, warmup_epochs=10, crop_scale=(0.8, 1.0))
    recipes: ClassVar[dict[str, Recipe]] = {"tiny": Recipe(lr=0.006, batch_size=64, warmup_epochs=10, **TINY)}
    reads = ("clip", "maps")
    saved_as = "attnpool"
    chosen = ("fusion_alpha", "pooling")
    shows = "attention"

    background_column: Tensor

    @classmethod
    def check(cls, settings: RAFTSettings, recipe: Recipe, backbone: str) -> None:
        """Refuse a warm-up that is longer than training, and a backbone without attention pooling."""
        if recipe.warmup_epochs > recipe.epochs:
            raise ValueError(
                f"OPTIM.WARMUP_EPOCH {recipe.warmup_epochs} is longer than OPTIM.MAX_EPOCH {recipe.epochs}; "
                "shorten the warm-up too"
            )
        check_attention_pooling(backbone)

    def build(self, task: Task) -> None:
        """Copy CLIP's attention pooling."""
        if task.attention_pool is None:
            raise ValueError("RAFT needs CLIP's attention pooling")
        self.clip_pool = [task.attention_pool()]  # in a list, or it would be one of the method's own modules
        self.region_attention = RegionAttention(self.clip_pool[0], pooling=self.settings.pooling)
        self.register_buffer("background_column", torch.zeros(len(task.text_columns)))  # (D,)

    @property
    def trained(self) -> nn.Module:
        """The copied pooling."""
        return self.region_attention

    def prepare(self) -> None:
        """Encode "the background of <class>" for every class; their mean is the background column."""
        assert self.task.text_rows is not None
        sentences = background_sentences(self.task.classnames)
        rows = self.task.text_rows("background column", sentences, lambda found: average_background(found)[None], 1)
        self.background_column = rows[0]

    def rates(self, recipe: Recipe, steps_per_epoch: int) -> list[float]:
        """A linear warm-up, then a half cosine."""
        released = self.settings.schedule == "released"
        table = warmup_cosine_table(
            recipe.lr,
            total_steps=recipe.epochs * steps_per_epoch,
            warmup_steps=max(recipe.warmup_epochs, 0) * steps_per_epoch,
            final_lr=self.settings.final_lr,
            released=released,
        )
        return released_order(table) if released else table

    def compare_regions(self, features: Features) -> RegionLogits:
        """Pool the maps by class and background token and compare with the texts."""
        maps = features["maps"]
        with self.task.precision.autocast(maps.device):  # the pooling alone: logits are compared in float32
            class_vectors, background_vectors = self.region_attention(maps)
        columns = torch.cat([self.text_columns, self.background_column[:, None]], dim=1)  # (D, C + 1)
        return region_logits(
            features["clip"], class_vectors, background_vectors, columns, logit_scale=self.task.logit_scale
        )

    def loss(self, features: Features, labels: Tensor) -> Loss:
        """lambda1 * Diff + lambda2 * Con + Cls + Bg."""
        logits = self.compare_regions(features)
        loss = raft_loss(
            logits,
            labels,
            difference_weight=self.settings.lambda1,
            consistency_weight=self.settings.lambda2,
            region_temperature=self.settings.tau1,
            background_temperature=self.settings.tau2,
        )
        parts = {f"loss_{name}": value for name, value in zip(loss._fields[1:], loss[1:], strict=True)}
        return Loss(loss.total, logits.region, parts)

    def branches(self, features: Features) -> Branches:
        """Zero-shot logits (alpha 0) and region logits (alpha 1)."""
        logits = self.compare_regions(features)
        return {"zero_shot": logits.zero_shot, "region": logits.region}

    def decide(self, branches: Branches) -> Tensor:
        """Both branches decide, mixed by alpha."""
        return mix_logits(branches["zero_shot"], branches["region"], fusion_alpha=self.choices["fusion_alpha"])

    @property
    def chooses(self) -> bool:
        """Whether alpha is to be chosen."""
        return bool(self.settings.alpha_rule != FIXED)

    def choose(self, validation: Validation) -> Tuning | None:
        """Choose alpha."""
        branches, labels = validation()
        steps, rule = self.settings.alpha_steps, self.settings.alpha_rule
        return self.settle(search_alpha(branches["zero_shot"], branches["region"], labels, steps=steps, rule=rule))

    @classmethod
    def settings_for_evaluation(
        cls, settings: Mapping[str, Any], result: Mapping[str, Any], *, same_data: bool
    ) -> dict[str, Any]:
        """Keep the alpha that was chosen for the model; elsewhere than on its own data none is chosen anew."""
        if settings.get("alpha_rule", FIXED) == FIXED:
            return {}
        alpha = result.get("fusion_alpha")
        kept = {} if alpha is None else {"fusion_alpha": alpha}
        return kept if same_data else {**kept, "alpha_rule": FIXED}

    @classmethod
    def settings_of_released(cls) -> dict[str, Any]:
        """Nothing is chosen for weights whose training images nobody knows."""
        return {"alpha_rule": FIXED}

    def explain(self, features: Features, branches: Branches) -> Explanation:
        """Where the class token and the background token look."""
        maps = attention_maps(self.region_attention, features["maps"])
        return Explanation(maps={"class attention": maps[:, 0], "background attention": maps[:, 1]})

    def attention(self, features: Features) -> dict[str, Tensor]:
        """Where frozen CLIP's pooling and the tuned one look."""
        before = attention_maps(self.clip_pool[0], features["maps"])[:, 0]  # its one token, which both start from
        after = attention_maps(self.region_attention, features["maps"])
        return {
            "class_before": before,
            "class_after": after[:, 0],
            "background_before": before,
            "background_after": after[:, 1],
        }

    def texts(self) -> dict[str, str]:
        """Note the sentence of the background."""
        return {"background_template": BACKGROUND_TEMPLATE}

    def facts(self) -> dict[str, Any]:
        """Record alpha."""
        return {"fusion_alpha": self.choices["fusion_alpha"]}

    def protocol(self) -> dict[str, Any]:
        """Say how alpha was chosen."""
        return {"alpha_rule": self.settings.alpha_rule}

    @classmethod
    def read_released(cls, path: Path, load: Any, settings: Any) -> Released:
        """Read a trained attention pooling of the backbone."""
        backbone = load.backbone()
        fresh = RegionAttention(backbone.attention_pool).state_dict()
        state = read_attention_pool(path, {name: tuple(value.shape) for name, value in fresh.items()})
        note = f"attention pooling of backbone {backbone.name}"
        return Released(state, note, None, {"backbone sha256": backbone.sha256})

    @classmethod
    def write_released(cls, state: Mapping[str, Tensor], path: Path) -> None:
        """Write an attention pooling, rounded to float16."""
        if "positional_embedding" not in state:
            raise ValueError("this is no attention pooling: its state dict has no positional_embedding")
        write_attention_pool(state, path)
