"""Linear probes to print beside the methods: how far do few images go without them?

Importing this module registers two trainers. Both fit scikit-learn's logistic regression on the same few images as
the methods, without augmentation; its C is chosen on the validation images of the same run.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor
from yacs.config import CfgNode

from amu_raft.backbones.preprocess import IDENTITY, renormalize, unit_rows
from amu_raft.features.extraction import Features
from dassl.data import DatasetWrapper
from dassl.engine import TRAINER_REGISTRY
from trainers.few_shot import Branches, add_shared_keys, common_settings
from trainers.zsclip import ZeroshotCLIP

PIXEL_GRID = 16
INVERSE_REGULARIZATION = (0.01, 0.1, 1.0, 10.0, 100.0)


def extend_cfg(cfg: CfgNode) -> None:
    """Attach the probes' keys."""
    add_shared_keys(cfg)
    for probe in (LinearProbe, PixelProbe):
        cfg.TRAINER[probe.__name__.upper()] = common_settings()


@TRAINER_REGISTRY.register()
class LinearProbe(ZeroshotCLIP):
    """Logistic regression on CLIP's unit image features."""

    trains = True

    def describe(self, features: Features) -> NDArray[np.float32]:
        """Return what the probe sees of each image, (N, D)."""
        rows: NDArray[np.float32] = unit_rows(features["clip"]).cpu().numpy()
        return rows

    def start_method(self) -> None:
        """Fit the probe for every C and keep the best on validation images, the strongest regularisation on ties."""
        train, val = self._described("train", self.dm.dataset.train_x), self._described("val", self.dm.dataset.val)
        fitted = [LogisticRegression(C=c, max_iter=5000).fit(*train) for c in INVERSE_REGULARIZATION]
        self.probe = max(fitted, key=lambda probe: float(probe.score(*val)))

    def _described(self, title: str, source: Any) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        transform = self.test_loader.dataset.transform  # type: ignore[attr-defined]
        images = DatasetWrapper(self.cfg, source or [], transform=transform)
        stored = self.encoders.features_of(images, title=f"encode {title}")
        return self.describe({name: stored.load(name) for name in stored.entries}), stored.labels.cpu().numpy()

    def before_train(self) -> None:
        """Fit, then let the toolbox go on to the evaluation."""
        self.start_method()
        super().before_train()

    def branch_logits(self, features: Features) -> Branches:
        """Zero-shot logits and the probe's log-probabilities."""
        scores = self.probe.predict_log_proba(self.describe(features))
        return {**super().branch_logits(features), "probe": torch.from_numpy(scores)}

    def decide(self, branches: Branches) -> Tensor:
        """The probe decides."""
        return branches["probe"]

    def protocol(self) -> dict[str, Any]:
        """Say where C was chosen."""
        return {**super().protocol(), "selected_on": "validation"}

    def method_outcome(self) -> dict[str, Any]:
        """Record C."""
        return {"inverse_regularization": float(self.probe.C)}


@TRAINER_REGISTRY.register()
class PixelProbe(LinearProbe):
    """Logistic regression on grey pixels: what the images give away without any pretraining."""

    def identities(self) -> dict[str, dict[str, Any]]:
        """Add the pixels, which no weights stand behind."""
        return {**super().identities(), "pixels": {"name": "grey pixels", "grid": PIXEL_GRID}}

    def encode(self, images: Tensor, names: Collection[str] | None = None) -> Features:
        """Keep the pixels beside CLIP's features."""
        features = {} if names is not None and "clip" not in names else super().encode(images)
        grey = renormalize(images, self.pixel_statistics, IDENTITY).mean(dim=1, keepdim=True)
        # The scans behind the bundled data sets have at most 12 x 12 pixels, so 16 x 16 loses nothing.
        small = F.interpolate(grey, size=(PIXEL_GRID, PIXEL_GRID), mode="area")
        return {**features, "pixels": small.flatten(start_dim=1)}

    def describe(self, features: Features) -> NDArray[np.float32]:
        """Return grey pixels in [0, 1], (N, PIXEL_GRID squared)."""
        pixels: NDArray[np.float32] = features["pixels"].cpu().numpy()
        return pixels
