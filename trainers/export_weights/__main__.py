"""Command line: python -m trainers.export_weights RUN_FOLDER FILE."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from amu_raft.command import carry_out
from amu_raft.methods.released_weights import write_adapter, write_attention_pool
from dassl.utils import load_checkpoint
from experiments.runs.settings import NOT_STATED, read_settings

# Folder that the trained model of each method has in a run folder.
MODEL_FOLDERS = {"adapter": "AMU", "attnpool": "RAFT"}
BEST, PERIODIC = "model-best.pth.tar", "model.pth.tar-"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog="python -m trainers.export_weights",
        description="Write a run's model in the released form: AMU {'fc.weight'} in float32, RAFT {'net'} in float16.",
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
    name = _model_folder(run_folder)
    final_model = (read_settings(run_folder) or {}).get("TEST.FINAL_MODEL", NOT_STATED)
    path = saved_model(run_folder / name, epoch)
    state: Any = load_checkpoint(str(path)).get("state_dict")
    if name == "adapter":
        if not isinstance(state, dict) or list(state) != ["fc.weight"]:
            raise ValueError(f"{path} is no adapter: its state dict must hold fc.weight alone")
        write_adapter(state["fc.weight"], file)
    else:
        if not isinstance(state, dict) or "positional_embedding" not in state:
            raise ValueError(f"{path} is no attention pooling: its state dict has no positional_embedding")
        write_attention_pool(state, file)
    print(f"{MODEL_FOLDERS[name]} model {path} is written to {file} in the released form")
    if final_model != NOT_STATED:
        print(f"the file does not say how the model was chosen; import it with TEST.FINAL_MODEL {final_model}")


def _model_folder(run_folder: Path) -> str:
    if not run_folder.is_dir():
        raise FileNotFoundError(f"no run folder {run_folder}")
    found = [name for name in MODEL_FOLDERS if (run_folder / name).is_dir()]
    if len(found) != 1:
        what = " and ".join(found) or "no model"
        raise FileNotFoundError(f"{run_folder} has {what}; exactly one of {', '.join(MODEL_FOLDERS)} is wanted")
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
