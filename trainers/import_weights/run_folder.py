"""The run folder of an imported model: what a run of our own would have left, as far as it is known."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from amu_raft.backbones.aux_encoder import AuxEncoder, load_aux_encoder
from amu_raft.backbones.clip_backbone import CLIPBackbone, check_backbone, load_clip
from amu_raft.json_file import write_json_file
from amu_raft.methods import Method, get_method, method_names
from dassl.utils import save_checkpoint
from datasets.classes import CLASSES_FILE
from experiments.runs.settings import NOT_STATED, RESULT_FILE, SETTINGS_FILE, configured_settings
from trainers.base.settings import check_method, key_of, recipe_of
from trainers.import_weights.row_classes import find_row_classes


@dataclass(frozen=True)
class EncoderLoader:
    """Load the frozen encoders of a configuration where a method needs to know their sizes."""

    cfg: CfgNode
    settings: Any

    def backbone(self) -> CLIPBackbone:
        """Return CLIP."""
        return load_clip(self.cfg.MODEL.BACKBONE.NAME, weights=self.cfg.MODEL.WEIGHTS or None)

    def aux_encoder(self) -> AuxEncoder:
        """Return the auxiliary encoder that the method's settings name."""
        return load_aux_encoder(self.settings.aux_encoder, weights=self.cfg.MODEL.WEIGHTS or None)


def write_run_folder(
    file: str, cfg: CfgNode, *, classnames_file: str | None = None, selection_stated: bool = False
) -> None:
    """Write a published model as a run folder that ``train.py --eval-only --model-dir`` accepts.

    Everything is read and checked first. The model comes last: without it the folder is nobody's.

    Args:
        file: The published file.
        cfg: Configuration of the run that it is said to come from.
        classnames_file: Classes of an adapter's rows; None asks the data set.
        selection_stated: Whether TEST.FINAL_MODEL says how the model was chosen; the file itself never does, and it
            may have been on test images.

    Raises:
        FileExistsError: If the folder holds a model.
        FileNotFoundError: If the file, the file of class names or the weights of a frozen encoder are missing.
        ValueError: If the trainer has nothing to import, or the file does not fit its model.
    """
    folder, kind = Path(cfg.OUTPUT_DIR), _kind_of(cfg)
    _check_request(cfg, folder, kind, classnames_file)
    # Nothing is trained, so that a warm-up cannot be too long.
    settings = check_method(cfg, kind, recipe_of(cfg).changed(warmup_epochs=0))
    found = kind.read_released(Path(file), EncoderLoader(cfg, settings), settings)
    print(found.note)
    classes = None if found.num_rows is None else find_row_classes(found.num_rows, cfg, classnames_file)
    # The images that it was trained on are not known, so that no training can be resumed from it by mistake.
    noted = {**configured_settings(cfg), **found.fingerprints}
    # For the same reason nothing is chosen for it on any.
    noted |= {key_of(kind, name): value for name, value in kind.settings_of_released().items()}
    if not selection_stated:
        noted["TEST.FINAL_MODEL"] = NOT_STATED
    write_json_file(noted, folder / SETTINGS_FILE)
    (folder / CLASSES_FILE).unlink(missing_ok=True)
    if classes is not None:
        write_json_file({"class_keys": classes.keys, "classnames": classes.names}, folder / CLASSES_FILE)
    checkpoint: dict[str, Any] = {"state_dict": found.state, "epoch": cfg.OPTIM.MAX_EPOCH}
    whole = {**checkpoint, "optimizer": None, "scheduler": None, "val_result": None}
    save_checkpoint(whole, str(folder / kind.saved_as))


def methods_with_a_published_form() -> list[str]:
    """Return the names of the methods whose authors' weights can be read."""
    return [name for name in method_names() if has_published_form(get_method(name))]


def has_published_form(kind: type[Method]) -> bool:
    """Tell whether a method reads weights as its authors publish them."""
    return kind.read_released.__func__ is not Method.read_released.__func__  # type: ignore[attr-defined]


def _kind_of(cfg: CfgNode) -> type[Method]:
    name, published = cfg.TRAINER.NAME, methods_with_a_published_form()
    if name not in published:
        raise ValueError(f"trainer {name} has no published form; --trainer takes one of {', '.join(published)}")
    return get_method(name)


def _check_request(cfg: CfgNode, folder: Path, kind: type[Method], classnames_file: str | None) -> None:
    """Refuse what can be refused before anything is read."""
    if classnames_file and not kind.bound_to_classes():
        raise ValueError(f"--classnames goes with methods that have rows for classes; {kind.__name__} has none")
    check_backbone(cfg.MODEL.BACKBONE.NAME)
    for pattern in ("*/model*.pth.tar*", "*/checkpoint", RESULT_FILE):
        if found := next(folder.glob(pattern), None):
            raise FileExistsError(
                f"{folder} holds a run already ({found.relative_to(folder)}); give another --output-dir"
            )
