"""One run of a sweep, as plain data that any engine can carry out, and what became of it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cell:
    """One run: ``python train.py ARGUMENTS``, once ``modules`` are imported.

    Attributes:
        trainer: Registered trainer.
        dataset: Stem of the data set YAML.
        config: Name of the trainer configuration, a backbone's.
        num_shots: Images per class; 0 for all of them, and for a trainer that trains nothing.
        seed: The seed.
        subset: Classes: "all", "base" or "new".
        folder: Run folder.
        arguments: train.py's command line.
        model: Run folder of the model that is evaluated; None where a model is trained or none is needed.
        modules: Modules that register trainers or data sets of other people.
    """

    trainer: str
    dataset: str
    config: str
    num_shots: int
    seed: int
    subset: str
    folder: Path
    arguments: tuple[str, ...]
    model: Path | None = None
    modules: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What messages call it."""
        classes = "" if self.subset == "all" else f" ({self.subset} classes)"
        shots = f" {self.num_shots} shots" if self.num_shots else ""
        return f"{self.trainer} on {self.dataset}{classes}, {self.config}{shots}, seed {self.seed}"


@dataclass(frozen=True)
class Outcome:
    """How a cell ended.

    Attributes:
        cell: The cell.
        seconds: How long it took.
        error: None if it is finished, else one line.
    """

    cell: Cell
    seconds: float
    error: str | None = None
