"""Trainers that go wrong on purpose: importing this module registers them, in the processes of a sweep as well."""

import os
import signal
import time
from pathlib import Path

from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from tests.experiments.sweep.stub_files import MENDED, STARTED
from trainers import zsclip


class Stub(zsclip.ZeroshotCLIP):  # type: ignore[misc, valid-type]
    """Something to be done at every point of the axes, shots and seeds too."""

    trains = True


@TRAINER_REGISTRY.register()
class Constructed(Stub):
    """Its check needs what its constructor makes."""

    accepted: list[int]

    def check_cfg(self, cfg: CfgNode) -> None:
        self.accepted.index(cfg.SEED)


@TRAINER_REGISTRY.register()
class Unchecked(Stub):
    check_cfg = None  # type: ignore[assignment]


@TRAINER_REGISTRY.register()
class Failing(Stub):
    def build_model(self) -> None:
        super().build_model()
        if not (Path(self.cfg.DATASET.ROOT) / MENDED).exists():
            raise TypeError("seed of\ntrouble")


@TRAINER_REGISTRY.register()
class Dying(Stub):
    def build_model(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@TRAINER_REGISTRY.register()
class Waiting(Stub):
    def build_model(self) -> None:
        (Path(self.cfg.OUTPUT_DIR) / STARTED).touch()
        time.sleep(120)
