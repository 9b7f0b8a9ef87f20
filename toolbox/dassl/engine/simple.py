"""A trainer with data, evaluation, resuming and model selection, but without a training loop."""

import datetime
import os
import time
import warnings
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm
from yacs.config import CfgNode

from dassl.data.data_manager import DataManager
from dassl.engine.base import TrainerBase
from dassl.engine.models import Names
from dassl.evaluation.build import build_evaluator
from dassl.modeling.simple_net import SimpleNet
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils.checkpoint import BEST_NAME, copy_file, load_checkpoint, load_pretrained_weights
from dassl.utils.distributed import from_main, is_main
from dassl.utils.files import mkdir_if_missing
from dassl.utils.parameters import count_num_param

# The split on which TEST.FINAL_MODEL chooses the epoch; with any other value the last one is kept.
_CHOSEN_ON = {"best_val": "val", "best_test": "test"}


class SimpleTrainer(TrainerBase):
    """Data loaders, model, evaluator and the steps around the epochs, from a configuration.

    The order of the constructor is part of the contract: `check_cfg`, device, data loaders, model, evaluator.

    Args:
        cfg: The frozen configuration.
    """

    model: Any
    optim: Any
    sched: Any

    def __init__(self, cfg: CfgNode) -> None:
        super().__init__()
        self.check_cfg(cfg)
        self.device = torch.device("cuda" if torch.cuda.is_available() and cfg.USE_CUDA else "cpu")
        self.start_epoch = self.epoch = 0
        self.max_epoch = cfg.OPTIM.MAX_EPOCH
        self.output_dir = cfg.OUTPUT_DIR
        self.cfg = cfg
        self.time_start = time.time()
        self.build_data_loader()
        self.build_model()
        self.evaluator = build_evaluator(cfg, lab2cname=self.lab2cname)
        self.best_result = -float("inf")

    def check_cfg(self, cfg: CfgNode) -> None:
        """Check what the method needs of the configuration; ``self.cfg`` is not set yet."""

    def build_data_loader(self) -> None:
        """Make the data manager, the loaders and the facts about the classes."""
        self.dm = DataManager(self.cfg)
        self.train_loader_x = self.dm.train_loader_x
        self.train_loader_u = self.dm.train_loader_u
        self.val_loader = self.dm.val_loader
        self.test_loader = self.dm.test_loader
        self.num_classes = self.dm.num_classes
        self.num_source_domains = self.dm.num_source_domains
        self.lab2cname = self.dm.lab2cname

    def build_model(self) -> None:
        """Make a classifier from ``cfg.MODEL``; methods override this."""
        cfg = self.cfg
        print("Building model")
        self.model = SimpleNet(cfg, cfg.MODEL, self.num_classes)
        if cfg.MODEL.INIT_WEIGHTS:
            load_pretrained_weights(self.model, cfg.MODEL.INIT_WEIGHTS)
        self.model.to(self.device)
        print(f"# params: {count_num_param(self.model):,}")
        self.optim = build_optimizer(self.model, cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM)
        self.register_model("model", self.model, self.optim, self.sched)

    def train(self) -> None:  # type: ignore[override]
        """Train from the first epoch, or where an earlier run stopped, to the last."""
        super().train(self.start_epoch, self.max_epoch)

    def before_train(self) -> None:
        """Resume from cfg.RESUME or the output folder, start tensorboard and the clock."""
        directory = self.cfg.RESUME or self.cfg.OUTPUT_DIR
        self.start_epoch = self.resume_model_if_exist(directory)
        if self.cfg.TEST.FINAL_MODEL in _CHOSEN_ON and self.start_epoch > 0:
            self._restore_best_result(directory)
        writer_dir = os.path.join(self.output_dir, "tensorboard")
        mkdir_if_missing(writer_dir)
        self.init_writer(writer_dir)
        self.time_start = time.time()

    def _restore_best_result(self, directory: str) -> None:
        """Take over the best model so far, so that a worse one cannot replace it."""
        best_files = [os.path.join(name, BEST_NAME) for name in self.get_model_names()]
        if not best_files or not all(os.path.isfile(os.path.join(directory, file)) for file in best_files):
            return
        for file in best_files if is_main() else ():
            source, target = os.path.join(directory, file), os.path.join(self.output_dir, file)
            if os.path.realpath(source) != os.path.realpath(target):
                mkdir_if_missing(os.path.dirname(target))
                copy_file(source, target)
        val_result = load_checkpoint(os.path.join(directory, best_files[-1])).get("val_result")
        if val_result is not None:
            self.best_result = float(val_result)

    def after_epoch(self) -> None:
        """Keep the best model on validation or test data if asked to, and save after some epochs and the last."""
        last_epoch = self.epoch + 1 == self.max_epoch
        frequency = self.cfg.TRAIN.CHECKPOINT_FREQ
        split = _CHOSEN_ON.get(self.cfg.TEST.FINAL_MODEL)
        if not self.cfg.TEST.NO_TEST and split is not None:
            result = from_main(self.test(split=split))  # one decision for all processes
            if result > self.best_result:
                self.best_result = result
                self.save_model(self.epoch, self.output_dir, val_result=result, model_name=BEST_NAME)
        if last_epoch or (frequency > 0 and (self.epoch + 1) % frequency == 0):
            self.save_model(self.epoch, self.output_dir)

    def after_train(self) -> None:
        """Test the best or the last model, print the time and end tensorboard."""
        print("Finish training")
        if not self.cfg.TEST.NO_TEST:
            if split := _CHOSEN_ON.get(self.cfg.TEST.FINAL_MODEL):
                print(f"Deploy the model with the best {split} performance")
                self.load_model(self.output_dir)
            else:
                print("Deploy the last-epoch model")
            self.test()
        elapsed = datetime.timedelta(seconds=round(time.time() - self.time_start))
        print(f"Elapsed: {elapsed}")
        self.close_writer()

    @torch.no_grad()
    def test(self, split: str | None = None) -> float:
        """Evaluate the model.

        Args:
            split: "val" or "test"; None is cfg.TEST.SPLIT. Without a validation set the test set stands in.

        Returns:
            The evaluator's first result, for a classifier the accuracy in percent.
        """
        self.set_model_mode("eval")
        self.evaluator.reset()
        split, loader = self._split_and_loader(self.cfg.TEST.SPLIT if split is None else split)
        print(f"Evaluate on the *{split}* set")
        for batch in tqdm(loader, disable=not is_main()):
            input, label = self.parse_batch_test(batch)
            self.evaluator.process(self.model_inference(input), label)
        results = self.evaluator.evaluate()
        for name, value in results.items():
            self.write_scalar(f"{split}/{name}", value, self.epoch)
        result: float = next(iter(results.values()))
        return result

    def _split_and_loader(self, split: str) -> tuple[str, DataLoader[Any]]:
        if split == "val" and self.val_loader is not None:
            return "val", self.val_loader
        if split == "val":
            warnings.warn(
                "There is no validation set, so the test set stands in for it: figures chosen by it are optimistic",
                stacklevel=3,
            )
        return "test", self.test_loader

    def parse_batch_test(self, batch: dict[str, Any]) -> Any:
        """Return images (N, 3, H, W) and labels (N,) on the device."""
        return batch["img"].to(self.device), batch["label"].to(self.device)

    def model_inference(self, input: Tensor) -> Any:
        """Return the model's output for a batch of images."""
        return self.model(input)

    def get_current_lr(self, names: Names = None) -> float:
        """Return the learning rate of the first parameter group of the first model that has an optimiser, else 0."""
        optims = (self._optims[name] for name in self.get_model_names(names))
        return next((float(optim.param_groups[0]["lr"]) for optim in optims if optim is not None), 0.0)
