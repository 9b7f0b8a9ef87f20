"""Trainers that go wrong on purpose: importing this module registers them, in the processes of a sweep as well."""

import os
import signal
import time
from pathlib import Path

from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from tests.experiments.sweep.stub_files import MENDED, STARTED
from trainers.few_shot import common_settings
from trainers.zsclip import ZeroshotCLIP


def extend_cfg(cfg: CfgNode) -> None:
    for name in ("CONSTRUCTED", "UNCHECKED", "FAILING", "DYING", "WAITING"):
        cfg.TRAINER[name] = common_settings()


@TRAINER_REGISTRY.register()
class Constructed(ZeroshotCLIP):
    """Its check needs what its constructor makes."""

    trains = True
    accepted: list[int]

    def check_cfg(self, cfg: CfgNode) -> None:
        self.accepted.index(cfg.SEED)


@TRAINER_REGISTRY.register()
class Unchecked(ZeroshotCLIP):
    trains = True
    check_cfg = None  # type: ignore[assignment]


@TRAINER_REGISTRY.register()
class Failing(ZeroshotCLIP):
    trains = True

    def build_method(self) -> None:
        super().build_method()
        if not (Path(self.cfg.DATASET.ROOT) / MENDED).exists():
            raise TypeError("seed of\ntrouble")


@TRAINER_REGISTRY.register()
class Dying(ZeroshotCLIP):
    trains = True

    def build_method(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@TRAINER_REGISTRY.register()
class Waiting(ZeroshotCLIP):
    trains = True

    def build_method(self) -> None:
        (Path(self.cfg.OUTPUT_DIR) / STARTED).touch()
        time.sleep(120)
