"""From command-line arguments to one frozen configuration.

One direction: defaults, data set YAML, trainer YAML, its overlays for the data set, with --eval-only --model-dir the
settings of the model, flags, trailing KEY VALUE pairs, freeze.

An overlay holds what a method changes at one number of shots, ``shots/<trainer YAML>_<k>shots.yaml`` beside the trainer
YAML, or on one data set: ``datasets/<data set>.yaml``, then ``datasets/<data set>_<k>shots.yaml``. Overlays for a data
set are for full-size backbones; the values of the tiny configuration were chosen for its own encoders.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from amu_raft.plain_values import as_literal
from experiments.runs.settings import check_finite, data_of_model, model_settings, node_of
from experiments.runs.tree import merge_file, set_key

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIGS = REPOSITORY / "configs"
DEFAULT_DATASET = "digits"
OWN_DATASET = "image_folder"  # what --data reads
EMBEDDED_CONFIG = "tiny"
FULL_SIZE_CONFIG = "rn50"
NO_OUTPUT_DIR = "output/DATASET/TRAINER/CONFIG_SHOTSshots/seedN"  # stands for the folder made from these names


@dataclass(frozen=True)
class RunPlan:
    """A frozen configuration and the names that tables show.

    Attributes:
        cfg: The frozen tree.
        dataset: Stem of the data set YAML.
        config: Stem of the trainer YAML.
        eval_only: Whether a saved model is evaluated.
        model_dir: Run folder that it is loaded from, or "".
        load_epoch: Its epoch, or None.
        no_train: Whether training is left out.
        overlays: Files that were merged after the trainer YAML.
        modules: Modules of other people that were imported.
    """

    cfg: CfgNode
    dataset: str
    config: str
    eval_only: bool
    model_dir: str
    load_epoch: int | None
    no_train: bool
    overlays: tuple[Path, ...] = ()
    modules: tuple[str, ...] = ()


def build_plan(arguments: argparse.Namespace) -> RunPlan:
    """Merge defaults, files, flags and overrides in that order, and freeze.

    Raises:
        ValueError: At an unknown key (naming the nearest), a value of the wrong type or an unknown trainer.
        FileNotFoundError: If a configuration file does not exist.
    """
    from dassl.config import clean_cfg

    if arguments.modules:
        from trainers.base.registering import import_strangers

        import_strangers(arguments.modules)
    cfg = extended_defaults()
    overrides = _pairs(arguments.opts)
    trainer = _trainer_of(arguments, dict(overrides))
    asked = _dataset_of(arguments)
    own_data = None  # an evaluation that names no data set is about the model's own
    if arguments.eval_only and arguments.model_dir and not asked:
        own_data = data_of_model(Path(arguments.model_dir))
    default = own_data[0] if own_data else DEFAULT_DATASET
    dataset_file = _config_file(asked, CONFIGS / "datasets", default, "data set")
    backbone = arguments.backbone or dict(overrides).get("MODEL.BACKBONE.NAME", "")
    config_file = _trainer_file(arguments.config_file, trainer, backbone)
    if config_file is None:
        _apply_recipe(cfg, trainer, backbone or EMBEDDED_CONFIG)
    for path in (dataset_file, config_file):
        if path is not None:
            merge_file(cfg, path)
    shots = as_literal(dict(overrides).get("DATASET.NUM_SHOTS", cfg.DATASET.NUM_SHOTS))
    overlays = _overlays(config_file, dataset_file.stem, shots)
    for path in overlays:
        merge_file(cfg, path)
    given = [*([("DATASET.ROOT", own_data[1])] if own_data else []), *_flags(arguments, trainer), *overrides]
    for key, value in given:
        set_key(cfg, key, value, source="command line")
    if arguments.eval_only and arguments.model_dir:
        for key, value in model_settings(Path(arguments.model_dir), trainer, cfg.DATASET):
            if key not in dict(given):
                set_key(cfg, key, value, source=arguments.model_dir)
    check_finite(cfg)
    dataset = dataset_file.stem
    config = (
        config_file.stem if config_file else config_stem(cfg.MODEL.BACKBONE.NAME) if is_method(trainer) else "default"
    )
    if cfg.OUTPUT_DIR == NO_OUTPUT_DIR:
        cfg.OUTPUT_DIR = str(_default_output(cfg, dataset, config, arguments.eval_only))
    clean_cfg(cfg, node_of(trainer))  # the settings of other methods would only clutter the record
    cfg.freeze()
    evaluation = {name: getattr(arguments, name) for name in ("eval_only", "model_dir", "load_epoch", "no_train")}
    return RunPlan(
        cfg=cfg, dataset=dataset, config=config, overlays=overlays, modules=tuple(arguments.modules), **evaluation
    )


def _apply_recipe(cfg: CfgNode, trainer: str, backbone: str) -> None:
    """Let a method that has no file of its own be trained by its own recipe, on images as the backbone wants them."""
    from dassl.engine import TRAINER_REGISTRY

    kind = getattr(TRAINER_REGISTRY.get(trainer), "kind", None)
    if kind is None:
        return
    from trainers.base.settings import recipe_keys

    for key, value in recipe_keys(kind, backbone).items():
        set_key(cfg, key, value, source=f"the recipe of {trainer}")


def _trainer_of(arguments: argparse.Namespace, overrides: Mapping[str, str]) -> str:
    """Return the trainer's name, after checking it and the flags that go together.

    Raises:
        ValueError: If it is unknown or given twice, or a flag of an evaluation stands without --eval-only.
    """
    trainer = overrides.get("TRAINER.NAME", arguments.trainer or "")
    if arguments.trainer and trainer != arguments.trainer:
        raise ValueError(f"--trainer {arguments.trainer} and TRAINER.NAME {trainer} contradict each other")
    check_trainer(trainer)
    if not arguments.eval_only and (arguments.model_dir or arguments.load_epoch is not None):
        raise ValueError("--model-dir and --load-epoch go with --eval-only; to resume a run use --resume")
    return trainer


def _dataset_of(arguments: argparse.Namespace) -> str | None:
    """Return the data set YAML that is asked for, which --data implies.

    Raises:
        ValueError: If --data is empty or stands beside what it implies.
    """
    given: str | None = arguments.dataset_config_file
    if arguments.data is None:
        return given
    if not arguments.data.strip():
        raise ValueError("--data is empty; give a folder of images or a list of them (is a variable not set?)")
    if given is not None or arguments.root is not None:
        raise ValueError(f"--data stands for --dataset-config-file {OWN_DATASET} --root PATH; leave these out")
    return OWN_DATASET


def extended_defaults() -> CfgNode:
    """Return the toolbox's defaults with the keys that registered trainers attach.

    A trainer attaches them by a class method ``extend_cfg(cfg)``, or its module by a function of that name, CoOp's.
    """
    import datasets  # noqa: F401  registers the data sets
    import trainers  # noqa: F401  registers the trainers
    from dassl.config import get_cfg_default
    from dassl.engine import TRAINER_REGISTRY

    cfg = get_cfg_default()
    cfg.OUTPUT_DIR, cfg.SEED, cfg.DATASET.NUM_SHOTS = NO_OUTPUT_DIR, 1, 16
    registered = [TRAINER_REGISTRY.get(name) for name in sorted(TRAINER_REGISTRY.registered_names())]
    own = [extend for trainer in registered if (extend := getattr(trainer, "extend_cfg", None))]
    modules = sorted({trainer.__module__ for trainer in registered if not hasattr(trainer, "extend_cfg")})
    named = [extend for module in modules if (extend := getattr(sys.modules[module], "extend_cfg", None))]
    for extend_cfg in [*own, *named]:
        extend_cfg(cfg)
    return cfg


def _pairs(opts: list[str]) -> list[tuple[str, str]]:
    opts = [item for item in opts if item != "--"]
    if len(opts) % 2:
        raise ValueError(f"overrides come in pairs KEY VALUE; the last one, {opts[-1]!r}, has no value")
    return list(zip(opts[::2], opts[1::2], strict=True))


def _flags(arguments: argparse.Namespace, trainer: str) -> list[tuple[str, Any]]:
    flags = {
        "TRAINER.NAME": trainer,
        "DATASET.ROOT": arguments.root if arguments.data is None else arguments.data,
        "DATASET.TEMPLATES": arguments.templates,
        "OUTPUT_DIR": arguments.output_dir,
        "RESUME": arguments.resume,
        "SEED": arguments.seed,
        "MODEL.BACKBONE.NAME": arguments.backbone,
        "MODEL.WEIGHTS": arguments.weights,
        "MODEL.HEAD.NAME": arguments.head,
        "DATASET.SOURCE_DOMAINS": arguments.source_domains,
        "DATASET.TARGET_DOMAINS": arguments.target_domains,
        "INPUT.TRANSFORMS": arguments.transforms,
    }
    return [(key, value) for key, value in flags.items() if value is not None]


def check_trainer(name: str) -> None:
    """Refuse a trainer that is not registered, naming the nearest.

    Raises:
        ValueError: Naming those that are.
    """
    from dassl.engine import TRAINER_REGISTRY

    names = TRAINER_REGISTRY.registered_names()
    if name not in names:
        in_small = {known.lower(): known for known in names}
        near = get_close_matches(name.lower(), in_small, n=1, cutoff=0.5)
        hint = f" (did you mean {in_small[near[0]]!r}?)" if near else ""
        given = f"unknown trainer {name!r}{hint}" if name else "no trainer given"
        own = "; the module of one of your own is named by --import" if name else ""
        raise ValueError(f"{given}; --trainer takes one of {', '.join(sorted(names))}{own}")


def trains_anything(trainer: str) -> bool:
    """Tell whether a trainer learns from training images; one that does not says ``trains = False``."""
    from dassl.engine import TRAINER_REGISTRY

    return bool(getattr(TRAINER_REGISTRY.get(trainer), "trains", True))


def is_method(trainer: str) -> bool:
    """Tell whether a trainer is a registered method's, with a recipe for every backbone."""
    from dassl.engine import TRAINER_REGISTRY

    return hasattr(TRAINER_REGISTRY.get(trainer), "kind")


def _config_file(given: str | None, folder: Path, default: str, what: str) -> Path:
    path = Path(given) if given else folder / f"{default}.yaml"
    if path.is_file():
        return path
    if (folder / f"{path.name}.yaml").is_file() and path.parent == Path():  # a bare name such as "digits"
        return folder / f"{path.name}.yaml"
    known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
    raise FileNotFoundError(f"no {what} configuration at {path}; {folder.relative_to(REPOSITORY)} has: {known}")


def _trainer_file(given: str | None, trainer: str, backbone: str) -> Path | None:
    """Return the file given, else the one named after the backbone ("ViT-B/16" has vit_b16), else a default."""
    folder = trainer_folder(trainer)
    if folder is None:
        return None if given is None else _config_file(given, CONFIGS / "trainers", given, f"{trainer} trainer")
    default = EMBEDDED_CONFIG
    if backbone and backbone != EMBEDDED_CONFIG:
        stem = config_stem(backbone)
        default = stem if (folder / f"{stem}.yaml").is_file() else FULL_SIZE_CONFIG
    return _config_file(given, folder, default, f"{trainer} trainer")


def trainer_folder(trainer: str) -> Path | None:
    """Return the folder of a trainer's YAML files, or of the one that it extends; None if it runs without files."""
    from dassl.engine import TRAINER_REGISTRY

    names = [trainer, *(base.__name__ for base in TRAINER_REGISTRY.get(trainer).__mro__)]
    folders = (CONFIGS / "trainers" / name for name in names)
    return next((folder for folder in folders if folder.is_dir()), None)


def config_stem(backbone: str) -> str:
    """Return the name of the trainer YAML for a backbone: "ViT-B/16" has vit_b16."""
    return backbone.lower().replace("/", "").replace("-", "_").replace("@", "_")


def _overlays(config_file: Path | None, dataset: str, shots: Any) -> tuple[Path, ...]:
    """Return what a method changes at a number of shots, on a data set, and there at a number of shots."""
    if config_file is None:
        return ()
    stems = [f"shots/{config_file.stem}_{shots}shots"]
    if config_file.stem != EMBEDDED_CONFIG:
        stems += [f"datasets/{dataset}", f"datasets/{dataset}_{shots}shots"]
    paths = (config_file.parent / f"{stem}.yaml" for stem in stems)
    return tuple(path for path in paths if path.is_file())


def _default_output(cfg: CfgNode, dataset: str, config: str, eval_only: bool) -> Path:
    subset = "" if cfg.DATASET.SUBSAMPLE_CLASSES == "all" else f"_{cfg.DATASET.SUBSAMPLE_CLASSES}"
    shots = max(cfg.DATASET.NUM_SHOTS, 0)
    base = "output_eval" if eval_only else "output"
    return Path(base, dataset, cfg.TRAINER.NAME, f"{config}_{shots}shots{subset}", f"seed{cfg.SEED}")
