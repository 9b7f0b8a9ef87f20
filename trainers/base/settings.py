"""From the configuration tree to a method's settings and recipe, and from these to the tree."""

from dataclasses import fields
from typing import Any

from yacs.config import CfgNode

from amu_raft.backbones.clip_backbone import check_backbone, resolution_of
from amu_raft.backbones.encoder_layers import ENCODER_LAYERS
from amu_raft.backbones.preprocess import CLIP_MEAN, CLIP_STD
from amu_raft.methods import Method, Recipe
from amu_raft.methods.settings import SettingError, settings_of
from datasets.validation import VALIDATION_CHOICES
from trainers.base.prompts import check_prompt_source
from trainers.base.stores import check_feature_settings, feature_settings

FINAL_MODELS = ("last_step", "best_val", "best_test")
SPLITS = ("val", "test")


def node_of(kind: type[Method]) -> CfgNode:
    """Return the configuration node of a method: what every one has, and its own settings in capitals."""
    node = CfgNode()
    node.PREC = "fp32"  # fp32, amp, fp16
    node.PROMPTS = "templates"  # templates: the data set's own; imagenet7; gpt3: its file of sentences; or a JSON file
    for item in fields(kind.Settings):
        node[item.name.upper()] = item.default
    return node


def add_shared_keys(cfg: CfgNode) -> None:
    """Attach the keys that the trainers read beside their own node."""
    cfg.TRAIN.VIEWS = "online"  # "online": fresh augmentation every epoch; K: that many views per image, encoded once
    cfg.TRAIN.NUM_THREADS = 0  # CPU threads of torch; 0 is torch's own choice. Tiny models are fastest on one
    cfg.OPTIM.ADAM_EPS = 1e-4  # both released code bases; the toolbox has no key for it
    cfg.DATASET.SUBSAMPLE_CLASSES = "all"
    cfg.DATASET.TEMPLATES = ()  # sentences with "{}" for the class, instead of the data set's own
    cfg.DATASET.VALIDATION = VALIDATION_CHOICES[0]  # coop: min(shots, 4) images per class; full: the whole split
    cfg.FEATURES = feature_settings()
    cfg.TEST.KEEP_PREDICTIONS = True  # keep what the final evaluation made of every image, for plots and the report
    cfg.TEST.FIGURES = True  # draw it for TensorBoard as well: a second or less at the end of a run
    cfg.MODEL.WEIGHTS = ""  # folder or file of official weights, for machines without a network
    cfg.MODEL.ENCODER_LAYERS = "folded"  # "plain" runs residual encoders as released: the same numbers, slower


def method_settings(kind: type[Method], node: CfgNode) -> Any:
    """Return a method's settings from its node.

    Raises:
        ValueError: Naming the key and what is accepted.
    """
    try:
        return settings_of(kind.Settings, {item.name: node[item.name.upper()] for item in fields(kind.Settings)})
    except SettingError as error:
        raise ValueError(f"{key_of(kind, error.name)} {error.reason}") from error


def key_of(kind: type[Method], name: str) -> str:
    """Return the configuration key of a setting."""
    return f"TRAINER.{kind.__name__.upper()}.{name.upper()}"


def recipe_of(cfg: CfgNode) -> Recipe:
    """Return how a configuration trains.

    Raises:
        ValueError: If a number is out of its range.
    """
    return Recipe(
        optimizer=cfg.OPTIM.NAME,
        lr=cfg.OPTIM.LR,
        weight_decay=cfg.OPTIM.WEIGHT_DECAY,
        eps=cfg.OPTIM.ADAM_EPS,
        momentum=cfg.OPTIM.MOMENTUM,
        epochs=cfg.OPTIM.MAX_EPOCH,
        warmup_epochs=cfg.OPTIM.WARMUP_EPOCH,
        batch_size=cfg.DATALOADER.TRAIN_X.BATCH_SIZE,
        views=cfg.TRAIN.VIEWS,
        threads=cfg.TRAIN.NUM_THREADS,
        augmentation=tuple(cfg.INPUT.TRANSFORMS),
        crop_scale=tuple(cfg.INPUT.RRCROP_SCALE),
    )


def recipe_keys(kind: type[Method], backbone: str) -> dict[str, Any]:
    """Return a method's recipe for a backbone as configuration keys, with the pixels that the backbone wants.

    Args:
        kind: The method.
        backbone: Name or path of a CLIP.
    """
    recipe, side = kind.recipe_for(backbone), resolution_of(backbone)
    own = {key_of(kind, name): value for name, value in recipe.settings.items()}
    pixels = {"INPUT.SIZE": (side, side), "INPUT.INTERPOLATION": "bicubic"}
    pixels |= {"INPUT.PIXEL_MEAN": list(CLIP_MEAN), "INPUT.PIXEL_STD": list(CLIP_STD)}
    tiny = backbone == "tiny"
    loading = {"DATALOADER.NUM_WORKERS": 0 if tiny else 8, "DATALOADER.TEST.BATCH_SIZE": 128 if side <= 224 else 64}
    shown = {"TEST.FIGURES": not tiny}  # they would take as long as such a run itself
    usual = {"MODEL.BACKBONE.NAME": backbone, "OPTIM.LR_SCHEDULER": "cosine", **loading, **shown}
    return {**usual, **pixels, **recipe.keys(), **own}


def check_settings(cfg: CfgNode, kind: type[Method]) -> tuple[Any, Recipe]:
    """Refuse what a method cannot honour, before anything is loaded; return its settings and its recipe.

    Raises:
        ValueError: Naming the key and what is accepted.
    """
    check_backbone(cfg.MODEL.BACKBONE.NAME)
    if cfg.MODEL.ENCODER_LAYERS not in ENCODER_LAYERS:
        raise ValueError(
            f"unknown MODEL.ENCODER_LAYERS {cfg.MODEL.ENCODER_LAYERS!r}; choose from {', '.join(ENCODER_LAYERS)}"
        )
    check_prompt_source(cfg.TRAINER[kind.__name__.upper()].PROMPTS, cfg.DATASET.TEMPLATES)
    check_feature_settings(cfg.FEATURES)
    for key, accepted in (("FINAL_MODEL", FINAL_MODELS), ("SPLIT", SPLITS)):
        if cfg.TEST[key] not in accepted:
            raise ValueError(f"unknown TEST.{key} {cfg.TEST[key]!r}; choose from {', '.join(accepted)}")
    if cfg.INPUT.NO_TRANSFORM or cfg.DATALOADER.K_TRANSFORMS != 1:
        raise ValueError(
            "INPUT.NO_TRANSFORM must be False and DATALOADER.K_TRANSFORMS 1: "
            "the encoders take one tensor an image; TRAIN.VIEWS gives several views"
        )
    recipe = recipe_of(cfg)
    return check_method(cfg, kind, recipe), recipe


def check_method(cfg: CfgNode, kind: type[Method], recipe: Recipe) -> Any:
    """Return a method's settings if they go together with a recipe and the backbone.

    Raises:
        ValueError: Naming the key and what is accepted.
    """
    settings = method_settings(kind, cfg.TRAINER[kind.__name__.upper()])
    try:
        kind.check(settings, recipe, cfg.MODEL.BACKBONE.NAME)
    except SettingError as error:
        raise ValueError(f"{key_of(kind, error.name)} {error.reason}") from error
    return settings
