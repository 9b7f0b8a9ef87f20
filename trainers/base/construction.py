"""Before training: frozen encoders, texts, the method, its optimiser."""

from collections.abc import Collection
from typing import Any

from torch import Tensor
from yacs.config import CfgNode

from amu_raft.backbones.aux_encoder import AuxEncoder, load_aux_encoder
from amu_raft.backbones.clip_backbone import CLIPBackbone, load_clip
from amu_raft.backbones.precision import Precision
from amu_raft.backbones.preprocess import CLIP_STATISTICS, IDENTITY, ChannelStatistics
from amu_raft.backbones.text_classifier import warn_of_indistinct_texts
from amu_raft.features.encoders import Encoders
from amu_raft.features.extraction import Features
from amu_raft.features.frozen import FrozenEncoders, LoaderSettings
from amu_raft.features.training import TrainingFeatures
from amu_raft.methods import Method, Recipe
from amu_raft.methods.schedules import TableScheduler
from amu_raft.model.building import Texts, build_method
from dassl.data import DatasetWrapper
from dassl.engine import TrainerX
from dassl.optim import build_optimizer
from datasets.class_names import note_shared_names
from trainers.base.prompts import choose_prompts
from trainers.base.settings import add_shared_keys, check_settings, node_of
from trainers.base.stores import MAPS_TYPES, open_store


class Construction(TrainerX):  # type: ignore[misc]
    """Make what a run needs from its configuration.

    Attributes:
        kind: The method's class.
        trains: Whether it learns anything; False needs no training images.
        method: The method.
        encoders: Frozen encoders.
        frozen: The same with the store.
        training: Features of the training images.
        prompts: Sentences of each class.
    """

    kind: type[Method]
    trains: bool = True
    method: Method
    dm: Any

    @classmethod
    def extend_cfg(cls, cfg: CfgNode) -> None:
        """Attach the method's node, and the keys that all trainers share."""
        add_shared_keys(cfg)
        cfg.TRAINER[cls.kind.__name__.upper()] = node_of(cls.kind)

    def check_cfg(self, cfg: CfgNode) -> None:
        """Refuse settings that the method cannot honour, before anything is loaded."""
        self.settings: CfgNode = cfg.TRAINER[self.kind.__name__.upper()]
        self.precision = Precision(self.settings.PREC)
        self.method_settings, recipe = check_settings(cfg, self.kind)
        self.recipe: Recipe = recipe
        self.num_views = recipe.num_views
        self.outcome: dict[str, Any] = {}

    def build_model(self) -> None:
        """Load the encoders, encode the texts, make the method; what can be refused is refused first."""
        self.classnames = list(self.dm.dataset.classnames)
        if len(self.classnames) != self.num_classes:
            raise ValueError(
                f"labels go up to {self.num_classes - 1} but only {len(self.classnames)} classes have images"
            )
        self.prompts = self.class_prompts()
        note_shared_names(self.cfg.DATASET.NAME, self.dm.dataset.lab2cname)
        self.backbone = self._load_backbone()
        self.aux_encoder = self._load_aux_encoder()
        self.encoders = Encoders(
            self.backbone,
            self.kind.reads,
            aux_encoder=self.aux_encoder,
            readers=self.kind.readers,
            statistics=_pixel_statistics(self.cfg),
        )
        self.store = open_store(self.cfg.FEATURES)
        texts = Texts(self.encoders, self.store, self.device)
        self.text_weights = texts.class_columns(self.prompts)
        warn_of_indistinct_texts(self.text_weights, self.classnames, self.cfg.MODEL.BACKBONE.NAME)
        self.method = build_method(
            self.kind,
            self.method_settings,
            self.encoders,
            texts,
            columns=self.text_weights,
            classnames=self.classnames,
            seed=self.cfg.SEED,
        )
        self._register()
        self.frozen = self._frozen_encoders()
        self.training = self._training_features()

    def class_prompts(self) -> list[list[str]]:
        """Return the prompts of each class, as TRAINER.*.PROMPTS asks."""
        return choose_prompts(self.settings.PROMPTS, self.dm.dataset, self.cfg)

    def _load_backbone(self) -> CLIPBackbone:
        backbone = load_clip(
            self.cfg.MODEL.BACKBONE.NAME,
            precision=self.settings.PREC,
            device=self.device,
            weights=self.cfg.MODEL.WEIGHTS or None,
            layers=self.cfg.MODEL.ENCODER_LAYERS,
        )
        side, size = backbone.input_resolution, tuple(self.cfg.INPUT.SIZE)
        if size != (side, side):
            raise ValueError(
                f"INPUT.SIZE {size} does not fit backbone {backbone.name!r}, whose input is ({side}, {side})"
            )
        return backbone

    def _load_aux_encoder(self) -> AuxEncoder | None:
        if "aux" not in self.kind.reads:
            return None
        weights, layers = self.cfg.MODEL.WEIGHTS or None, self.cfg.MODEL.ENCODER_LAYERS
        return load_aux_encoder(self.method_settings.aux_encoder, weights=weights, layers=layers).to(self.device)

    def _register(self) -> None:
        """Register what is learned with the toolbox: with optimiser and rates, or as it is where none is needed."""
        name, module = self.kind.saved_as, self.method.trained
        if self.kind.learns == "nothing":
            self.max_epoch = 0
        elif self.kind.learns == "closed_form":
            self.max_epoch = 0
            self.register_model(name, module, None, None)
        else:
            if self.cfg.OPTIM.LR_SCHEDULER != "cosine":
                raise ValueError(
                    f"OPTIM.LR_SCHEDULER {self.cfg.OPTIM.LR_SCHEDULER!r} is not one that {self.kind.__name__} has; "
                    "its rates follow cosine, iteration by iteration"
                )
            module.to(self.device)
            self.precision.cast_weights(module)
            # One pass over weights and moments where Adam's plain loop takes nine: half of a step of a large adapter.
            groups = [{"params": list(module.parameters()), "eps": self.cfg.OPTIM.ADAM_EPS, "fused": True}]
            self.optim = build_optimizer(module, self.cfg.OPTIM, param_groups=groups)
            self.sched = TableScheduler(self.optim, self.method.rates(self.recipe, self.steps_per_epoch))
            self.scaler = self.precision.gradient_scaler(self.device)
            self.register_model(name, module, self.optim, self.sched)

    @property
    def steps_per_epoch(self) -> int:
        """Number of training batches; a short last one counts, as in the released code."""
        return -(-len(self.dm.dataset.train_x) // self.recipe.batch_size)

    def encode(self, images: Tensor, names: Collection[str] | None = None) -> Features:
        """Encode a batch of images, as the loaders give them, to frozen features by name: those asked for, or all."""
        return self.encoders.encode(images, names)

    def _frozen_encoders(self) -> FrozenEncoders:
        loading = self.cfg.DATALOADER
        return FrozenEncoders(
            self.encode,
            self.encoders.identities(),
            device=self.device,
            store=self.store,
            loader=LoaderSettings(loading.TEST.BATCH_SIZE, loading.NUM_WORKERS, self.device.type == "cuda"),
            dtypes={"maps": MAPS_TYPES[self.cfg.FEATURES.MAPS_PREC]},
            strict=self.cfg.FEATURES.STRICT,
        )

    def _training_features(self) -> TrainingFeatures:
        augmented, evaluated = self.dm.train_loader_x.dataset, self.dm.test_loader.dataset
        plain = DatasetWrapper(self.cfg, augmented.data_source, transform=evaluated.transform)
        return TrainingFeatures(self.frozen, augmented, plain, seed=self.cfg.SEED, num_views=self.num_views)


def _pixel_statistics(cfg: CfgNode) -> ChannelStatistics:
    if "normalize" not in cfg.INPUT.TRANSFORMS:
        return IDENTITY
    given = ChannelStatistics(tuple(cfg.INPUT.PIXEL_MEAN), tuple(cfg.INPUT.PIXEL_STD))
    return CLIP_STATISTICS if given.same_as(CLIP_STATISTICS) else given
