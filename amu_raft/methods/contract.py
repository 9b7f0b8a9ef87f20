"""What a method is: everything that the rest of the program asks of one.

A method is written as one class, in the order of this file: settings, what it reads, what it learns and how that
starts, its loss, its logits, how they are chosen on validation images, what it keeps, what explains it.
docs/your_own_method.md goes through it with a template; ``given`` has the types.

Letters in shapes: N images, C classes, D width of CLIP's vectors, F width of auxiliary ones.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from amu_raft.backbones.preprocess import unit_rows
from amu_raft.backbones.text_classifier import zero_shot_logits
from amu_raft.methods.given import (
    Branches,
    Explanation,
    Features,
    Learning,
    Loss,
    Released,
    Task,
    TrainingFeatures,
    Trials,
    Validation,
)
from amu_raft.methods.known_classes import KnownClasses, read_known, write_known
from amu_raft.methods.recipe import TINY, Recipe
from amu_raft.methods.schedules import cosine_table
from amu_raft.methods.selection import Tuning
from amu_raft.methods.settings import KEPT, MethodSettings, read_choices, settings_of
from amu_raft.methods.tensors import bound_sizes, follow_loaded_shapes

_TOLD_ELSEWHERE = ("aux_encoder", "tune")  # a model folder names its encoders, and nothing more is chosen for it


class Method(nn.Module, ABC):
    """A few-shot method on frozen encoders.

    Class attributes say what the method is; a subclass sets those that differ.

    Attributes:
        aliases: Other names, in small letters.
        Settings: Frozen dataclass; its fields are the keys of the configuration node, in capitals.
        recipe: How the method is trained, as published.
        recipes: Recipes for backbones that need another one, by name.
        reads: Features that it uses. One that reads "aux" has a setting ``aux_encoder``.
        readers: Features that no encoder gives and the method computes from pixels itself, by name.
        learns: "nothing" needs no training images; "closed_form" learns in ``start``; "gradient" by ``loss``.
        tensors: Shape of every tensor that is learned and may have another size when it is loaded, such as
            {"keys": "N D"}: C rows for classes, D and F widths, other letters any number.
        saved_as: Folder of ``trained`` in a run folder.
        decides: Branch whose logits decide.
        chosen: Settings that decide and may be chosen on validation images, in ``choose``.
        others: Who answers for classes that it was not trained on, if it was trained on some of those asked for.
        shows: What ``explain`` shows: "parts" of logits or "attention".
    """

    aliases: ClassVar[tuple[str, ...]] = ()
    Settings: ClassVar[type[MethodSettings]] = MethodSettings
    recipe: ClassVar[Recipe] = Recipe()
    recipes: ClassVar[Mapping[str, Recipe]] = {}
    reads: ClassVar[tuple[str, ...]] = ("clip",)
    readers: ClassVar[Mapping[str, Any]] = {}
    learns: ClassVar[Learning] = "gradient"
    tensors: ClassVar[Mapping[str, str]] = {}
    saved_as: ClassVar[str] = "model"
    decides: ClassVar[str] = "adapted"
    chosen: ClassVar[tuple[str, ...]] = ()
    others: ClassVar[str] = "zero-shot CLIP decides the others"
    shows: ClassVar[Literal["parts", "attention"]] = "parts"

    text_columns: Tensor

    # ------------------------------------------------------------------------------------------------ what is learned

    def __init__(self, settings: Any, task: Task) -> None:
        super().__init__()
        self.settings = settings
        self.task = task
        self.register_buffer("text_columns", task.text_columns, persistent=False)
        self.choices: dict[str, Any] = {name: getattr(settings, name) for name in self.chosen}
        self.known: KnownClasses | None = None
        self.build(task)
        follow_loaded_shapes(self, self.tensors)

    @classmethod
    def recipe_for(cls, backbone: str) -> Recipe:
        """Return the recipe for a backbone, by name or path."""
        usual = cls.recipe.changed(**TINY) if backbone == "tiny" else cls.recipe
        return cls.recipes.get(backbone, usual)

    @classmethod
    def check(cls, settings: Any, recipe: Recipe, backbone: str) -> None:
        """Refuse settings that do not go together, before anything is loaded; by default all do.

        Raises:
            ValueError: With one line.
        """

    def build(self, task: Task) -> None:
        """Make what is learned, in its shape; by default the tensors, empty."""
        sizes = {"C": self.num_classes, "D": len(task.text_columns), "F": task.widths.get("aux", 0)}
        for name, letters in self.tensors.items():
            self.register_buffer(name, torch.zeros([sizes.get(letter, 0) for letter in letters.split()]))

    def prepare(self) -> None:
        """Encode further texts of the classes that the method needs; a saved model has them among its tensors."""

    def start(self, training: TrainingFeatures) -> None:
        """Set what is learned from the training features: where training begins, or a solution in closed form."""

    @property
    def trained(self) -> nn.Module:
        """The part that is learned: what is optimised, saved and loaded."""
        return self

    def rates(self, recipe: Recipe, steps_per_epoch: int) -> list[float]:
        """Return the learning rate of every step; by default a half cosine from the highest rate towards 0."""
        return cosine_table(recipe.lr, total_steps=recipe.epochs * steps_per_epoch)

    def loss(self, features: Features, labels: Tensor) -> Loss:
        """Return the loss of a batch; only a method that learns by gradient has one."""
        raise NotImplementedError(f"{type(self).__name__} is not trained by gradient")

    # ---------------------------------------------------------------------------------------------------- what it says

    def zero_shot(self, features: Features) -> Tensor:
        """Return frozen CLIP's own logits, (N, C)."""
        return zero_shot_logits(features["clip"], self.text_columns, logit_scale=self.task.logit_scale)

    @abstractmethod
    def branches(self, features: Features) -> Branches:
        """Return the logits (N, C) of every branch by name; "zero_shot" is always among them."""

    def decide(self, branches: Branches) -> Tensor:
        """Return the logits (N, C) that decide."""
        return branches[self.decides]

    # --------------------------------------------------------------------------------------------------- what is chosen

    @property
    def chooses(self) -> bool:
        """Whether ``choose`` is to choose; by the setting ``tune`` if there is one."""
        return bool(self.chosen) and getattr(self.settings, "tune", "off") not in ("off", KEPT)

    def choose_by_training(self, trials: Trials, validation: Validation) -> str:
        """Choose settings that only training can compare, before training begins; return a line on it, or ""."""
        return ""

    def choose(self, validation: Validation) -> Tuning | None:
        """Choose ``choices`` by the branches of validation images, set them and return how; None if nothing is chosen.

        Only called where ``chooses``. These labels are the only ones beside the training images' that a method sees.
        """
        return None

    def settle(self, tuning: Tuning | None) -> Tuning | None:
        """Make what was chosen the method's choices, and hand it on; None leaves them as configured."""
        if tuning is not None:
            self.choices |= {name: value for name, value in tuning.chosen.items() if name in self.chosen}
        return tuning

    @classmethod
    def settings_for_evaluation(
        cls, settings: Mapping[str, Any], result: Mapping[str, Any], *, same_data: bool
    ) -> dict[str, Any]:
        """Return the settings that an evaluation of a trained model changes.

        On the model's own data its choices are made again, on the same images; elsewhere the model's are kept. Where no
        result says what was chosen nothing is: the images might have been trained on.

        Args:
            settings: What it was trained with.
            result: What its result.json holds; empty if there is none.
            same_data: Whether it is evaluated on its own data set and classes.
        """
        if settings.get("tune", "off") in ("off", KEPT):
            return {}
        if not result:
            return {"tune": "off"}
        found = result.get("tuning", {}).get("chosen", {})
        if same_data:
            return {name: value for name, value in found.items() if name not in cls.chosen}
        return {**found, "tune": KEPT if found else "off"}

    @classmethod
    def settings_of_released(cls) -> dict[str, Any]:
        """Return the settings of weights whose training images nobody knows: nothing is chosen for them."""
        return {"tune": "off"} if cls.chosen else {}

    # ---------------------------------------------------------------------------------------------------- what is kept

    @property
    def num_classes(self) -> int:
        """C."""
        return int(self.text_columns.shape[1])

    @property
    def num_known(self) -> int:
        """Number of the classes that the method was trained on."""
        return self.num_classes if self.known is None else len(self.known.labels)

    @classmethod
    def bound_to_classes(cls) -> bool:
        """Tell whether what is learned has rows for the classes of its training."""
        return any("C" in letters.split() for letters in cls.tensors.values())

    def sizes(self) -> dict[str, int]:
        """Return the size behind every letter of ``tensors``.

        Raises:
            ValueError: If two tensors, or a tensor and the task, do not agree on one.
        """
        expected = {"D": len(self.text_columns), "F": self.task.widths.get("aux", 0)}
        return bound_sizes(self, self.tensors, expected)

    def spread(self, logits: Tensor) -> Tensor:
        """Bring logits (N, rows) of the classes of training to those of the task, (N, C); unknown ones get 0."""
        return logits if self.known is None else self.known.spread(self.known.pick(logits))

    def kept_choices(self) -> dict[str, Any]:
        """Return what stands in a model folder beside the tensors, as plain values: choices, and settings not usual."""
        known = {"known": write_known(self.known)} if self.bound_to_classes() else {}
        told = {*self.chosen, *_TOLD_ELSEWHERE}
        defaults = {item.name: item.default for item in fields(self.Settings) if item.name not in told}
        others = {name: getattr(self.settings, name) for name in defaults}
        changed = {name: value for name, value in others.items() if value != defaults[name]}
        return {**self.choices, **({"settings": changed} if changed else {}), **known}

    @classmethod
    def from_folder(cls, task: Task, tensors: Mapping[str, Tensor], choices: Mapping[str, Any]) -> "Method":
        """Return the method of a model folder, ready to be asked.

        Raises:
            ValueError: If a choice or a tensor is missing, unknown or cannot be.
        """
        given = dict(choices)
        known = given.pop("known", None) if cls.bound_to_classes() else None
        others = given.pop("settings", {})
        if not isinstance(others, dict):
            raise ValueError(f'"settings" of the choices must be a mapping, got {str(others)[:40]!r}')
        chosen = read_choices(cls.Settings, cls.chosen, given, method=cls.__name__)
        settings = settings_of(cls.Settings, {**others, **chosen})
        method = cls(settings, task)
        for name, tensor in method.state_dict(keep_vars=True).items():
            if name in tensors and (found := tensors[name].dtype) != tensor.dtype:
                # Half precision stays what it was in training.
                if (found, tensor.dtype, task.precision.name) != (torch.float16, torch.float32, "fp16"):
                    raise ValueError(f"{name} is of type {found}; {tensor.dtype} is wanted")
                tensor.data = tensor.data.half()
        try:
            method.load_state_dict(dict(tensors))
        except RuntimeError as error:
            raise ValueError(" ".join(str(error).split())) from error
        if cls.bound_to_classes():
            method.known = read_known(known, num_rows=method.sizes()["C"], num_classes=method.num_classes)
        method.sizes()
        return method.requires_grad_(False).eval()

    # ---------------------------------------------------------------------------------------------- what is shown of it

    def numbers(self, branches: Branches) -> dict[str, Tensor]:
        """Return numbers of each picture that stand in its row, (N,) by name."""
        return {}

    def explain(self, features: Features, branches: Branches) -> Explanation:
        """Return what explains the decision; by default how it differs from zero-shot CLIP."""
        zero_shot, decided = branches["zero_shot"], self.decide(branches)
        parts = {"zero-shot logit": zero_shot}
        if decided is not zero_shot:
            parts |= {f"added by {type(self).__name__}": decided - zero_shot, "sum": decided}
        return Explanation(parts=parts)

    def columns(self, branches: Branches) -> dict[str, Tensor]:
        """Return what is recorded of every image of an evaluation beside its likeliest classes, (N, ...) by name."""
        return {}

    def attention(self, features: Features) -> dict[str, Tensor]:
        """Return maps (N, h, w) for the report, by the names that it knows; none if the method attends to nothing."""
        return {}

    def texts(self) -> dict[str, str]:
        """Return what a model folder notes of sentences beside those of the classes."""
        return {}

    def facts(self) -> dict[str, Any]:
        """Return the method's own numbers for the record of a run."""
        return dict(self.choices)

    def protocol(self) -> dict[str, Any]:
        """Return what is to be said of how the method's numbers came about, beyond what every run says."""
        return {}

    @property
    def chosen_before(self) -> bool:
        """Whether choices were made with the model that is evaluated now."""
        return getattr(self.settings, "tune", "off") == KEPT

    # ---------------------------------------------------------------------------------------------- released weights

    @classmethod
    def read_released(cls, path: Path, load: Any, settings: Any) -> Released:
        """Read weights in the form in which the method's authors publish them.

        Args:
            path: The file.
            load: Gives ``backbone()`` and ``aux_encoder()`` where they are needed to know sizes.
            settings: The method's.

        Raises:
            ValueError: If there is no such form, or the file is not in it.
        """
        raise ValueError(f"{cls.__name__} has no published form")

    @classmethod
    def write_released(cls, state: Mapping[str, Tensor], path: Path) -> None:
        """Write the state dict of ``trained`` in that form.

        Raises:
            ValueError: If there is no such form, or the state does not fit it.
        """
        raise ValueError(f"{cls.__name__} has no published form")


def unit(features: Features, name: str = "clip") -> Tensor:
    """Return a feature with rows of length 1, (N, width), in float32."""
    return unit_rows(features[name])
