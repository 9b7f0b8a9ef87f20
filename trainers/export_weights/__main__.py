"""Command line: python -m trainers.export_weights RUN_FOLDER FILE."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from amu_raft.command import carry_out
from amu_raft.methods import Method, get_method
from dassl.utils import load_checkpoint
from experiments.runs.settings import NOT_STATED, read_settings
from trainers.import_weights.run_folder import methods_with_a_published_form

BEST, PERIODIC = "model-best.pth.tar", "model.pth.tar-"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m trainers.export_weights",
        description="Write a run's model in the form in which its method's authors publish theirs.",
        allow_abbrev=False,
    )
    parser.add_argument("run_folder", type=Path, help="run folder of train.py with a trained model")
    parser.add_argument("file", type=Path, help="file to write")
    parser.add_argument("--load-epoch", type=int, help="epoch to write; default the best validation epoch or the last")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    return parser


def export(run_folder: Path, file: Path, *, epoch: int | None = None, force: bool = False) -> None:
    """Write a run's model in the released form.

    Raises:
        FileExistsError: If the file exists and is not to be replaced.
        FileNotFoundError: If there is no run folder, or no such model in it.
        ValueError: If the model is damaged, or beyond the released precision.
    """
    if file.is_dir():
        raise FileExistsError(f"{file} is a folder; name the file to write")
    if file.exists() and not force:
        raise FileExistsError(f"{file} exists; --force replaces it")
    kind = _method_of(run_folder)
    final_model = (read_settings(run_folder) or {}).get("TEST.FINAL_MODEL", NOT_STATED)
    path = saved_model(run_folder / kind.saved_as, epoch)
    state: Any = load_checkpoint(str(path)).get("state_dict")
    if not isinstance(state, dict):
        raise ValueError(f"{path} holds no state dict")
    try:
        kind.write_released(state, file)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    print(f"{kind.__name__} model {path} is written to {file} in the released form")
    if final_model != NOT_STATED:
        print(f"the file does not say how the model was chosen; import it with TEST.FINAL_MODEL {final_model}")


def _method_of(run_folder: Path) -> type[Method]:
    """Return the method of a run folder: the one that its settings name, else the only one that has a folder there."""
    if not run_folder.is_dir():
        raise FileNotFoundError(f"no run folder {run_folder}")
    published = [get_method(name) for name in methods_with_a_published_form()]
    named = (read_settings(run_folder) or {}).get("TRAINER.NAME")
    found = [kind for kind in published if (run_folder / kind.saved_as).is_dir() and named in (None, kind.__name__)]
    if len(found) != 1:
        what = " and ".join(kind.saved_as for kind in found) or "no model"
        wanted = ", ".join(f"{kind.saved_as} ({kind.__name__})" for kind in published)
        raise FileNotFoundError(f"{run_folder} has {what}; exactly one of {wanted} is wanted")
    return found[0]


def saved_model(folder: Path, epoch: int | None) -> Path:
    """Return a model's checkpoint: of the epoch asked for, else the best one, else the last.

    Raises:
        FileNotFoundError: If it does not exist.
    """
    epochs = sorted(int(path.name.removeprefix(PERIODIC)) for path in folder.glob(f"{PERIODIC}*[0-9]"))
    name = f"{PERIODIC}{max(epochs, default=0) if epoch is None else epoch}"
    if epoch is None and (folder / BEST).is_file():
        name = BEST
    if not (folder / name).is_file():
        saved = f"saved are epochs {', '.join(map(str, epochs))}" if epochs else "nothing is saved there"
        raise FileNotFoundError(f"no model {folder / name}; {saved}")
    return folder / name


def main(argv: Sequence[str] | None = None) -> int:
    """Export and return the exit status."""
    arguments = build_parser().parse_args(argv)

    def work() -> None:
        export(arguments.run_folder, arguments.file, epoch=arguments.load_epoch, force=arguments.force)

    return carry_out(work)


if __name__ == "__main__":
    sys.exit(main())
