"""Models that a trainer has registered, with their optimisers, schedules and checkpoints."""

import os
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from dassl.utils.checkpoint import (
    BEST_NAME,
    align_checkpoints,
    load_checkpoint,
    load_weights_strictly,
    resume_from_checkpoint,
    save_checkpoint,
)
from dassl.utils.tools import tolist_if_not

Names = str | Sequence[str] | None


class RegisteredModels:
    """Models by name, each with an optimiser and a schedule or None."""

    def __init__(self) -> None:
        self._models: OrderedDict[str, nn.Module | None] = OrderedDict()
        self._optims: OrderedDict[str, Optimizer | None] = OrderedDict()
        self._scheds: OrderedDict[str, LRScheduler | None] = OrderedDict()

    def register_model(
        self,
        name: str = "model",
        model: nn.Module | None = None,
        optim: Optimizer | None = None,
        sched: LRScheduler | None = None,
    ) -> None:
        """Register a model, which is then saved, resumed and put in training mode by its name.

        Raises:
            AttributeError: If the base constructor has not run.
            AssertionError: If the name is taken.
        """
        for attribute, kind in (("_models", "model"), ("_optims", "optim"), ("_scheds", "sched")):
            if attribute not in vars(self):
                raise AttributeError(f"Cannot assign {kind} before super().__init__() call")
        if name in self._models:
            raise AssertionError("Found duplicate model names")
        self._models[name] = model
        self._optims[name] = optim
        self._scheds[name] = sched

    def get_model_names(self, names: Names = None) -> list[str]:
        """Return the registered names in order, or the given ones as a list.

        Raises:
            AssertionError: If a given name is not registered.
        """
        registered = list(self._models)
        if names is None:
            return registered
        given = list(names) if isinstance(names, tuple) else tolist_if_not(names)
        for name in given:
            if name not in registered:
                raise AssertionError  # without a text, as callers of other versions see it
        return given

    def save_model(
        self,
        epoch: int,
        directory: str,
        is_best: bool = False,
        val_result: float | None = None,
        model_name: str = "",
    ) -> None:
        """Write a checkpoint of every model into ``directory/<model name>``.

        Args:
            epoch: The epoch that has just ended, counted from 0; files count from 1.
            directory: The run folder.
            is_best: Keep a copy as the best model.
            val_result: Accuracy on the validation set, percent.
            model_name: File name, or empty for one with the epoch.
        """
        for name in self.get_model_names():
            model, optim, sched = self._models[name], self._optims[name], self._scheds[name]
            state = {
                "state_dict": {} if model is None else model.state_dict(),
                "epoch": epoch + 1,
                "optimizer": None if optim is None else optim.state_dict(),
                "scheduler": None if sched is None else sched.state_dict(),
                "val_result": val_result,
            }
            save_checkpoint(state, os.path.join(directory, name), is_best=is_best, model_name=model_name)

    def resume_model_if_exist(self, directory: str) -> int:
        """Restore every model, optimiser and schedule from the checkpoints written last.

        Returns:
            The number of epochs done, 0 if any model has no checkpoint.
        """
        names = self.get_model_names()
        folders = [os.path.join(directory, name) for name in names]
        if not align_checkpoints(folders):
            print("No checkpoint found, train from scratch")
            return 0
        print(f"Found checkpoint at {directory} (will resume training)")
        start_epoch = 0
        for name, folder in zip(names, folders, strict=True):
            model = self._models[name]
            if model is not None:
                start_epoch = resume_from_checkpoint(folder, model, self._optims[name], self._scheds[name])
        return start_epoch

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        """Load the weights of every model from a run folder.

        Args:
            directory: The run folder; if empty, nothing is loaded, which is how zero-shot models are evaluated.
            epoch: Which checkpoint, counted from 1; None is the best one.

        Raises:
            FileNotFoundError: If a checkpoint is missing.
            RuntimeError: If the weights do not fit.
        """
        if not directory:
            print(
                "Note that load_model() is skipped as no pretrained model is given "
                "(ignore this if it's done on purpose)"
            )
            return
        for name in self.get_model_names():
            file_name = BEST_NAME if epoch is None else f"model.pth.tar-{epoch}"
            path = os.path.join(directory, name, file_name)
            if not os.path.exists(path):
                raise FileNotFoundError(f"No model at {path}")
            self._load_one(name, path)

    def _load_one(self, name: str, path: str) -> None:
        checkpoint = load_checkpoint(path)
        val_result = checkpoint.get("val_result")
        shown = "" if val_result is None else f", val_result={val_result:.1f}"
        print(f"Load {path} to {name} (epoch={checkpoint.get('epoch')}{shown})")
        model = self._models[name]
        if model is not None:
            load_weights_strictly(model, checkpoint["state_dict"], path, name)

    def set_model_mode(self, mode: str = "train", names: Names = None) -> None:
        """Put models in training mode ("train") or evaluation mode ("test" or "eval").

        Raises:
            KeyError: If the mode is another.
        """
        if mode not in ("train", "test", "eval"):
            raise KeyError(f"mode must be train, test or eval, but got {mode}")
        for name in self.get_model_names(names):
            model = self._models[name]
            if model is not None:
                model.train(mode == "train")

    def update_lr(self, names: Names = None) -> None:
        """Step every schedule that there is."""
        for name in self.get_model_names(names):
            sched = self._scheds[name]
            if sched is not None:
                sched.step()

    def detect_anomaly(self, loss: Tensor) -> None:
        """Check that a loss is finite.

        Raises:
            FloatingPointError: If it is not.
        """
        if not torch.isfinite(loss).all():
            raise FloatingPointError("Loss is infinite or NaN!")

    def model_zero_grad(self, names: Names = None) -> None:
        """Clear the gradients of every model that has an optimiser."""
        for name in self.get_model_names(names):
            optim = self._optims[name]
            if optim is not None:
                optim.zero_grad()

    def model_backward(self, loss: Tensor) -> None:
        """Check the loss and compute gradients."""
        self.detect_anomaly(loss)
        loss.backward()  # type: ignore[no-untyped-call]

    def model_update(self, names: Names = None) -> None:
        """Step every optimiser that there is."""
        for name in self.get_model_names(names):
            optim = self._optims[name]
            if optim is not None:
                optim.step()

    def model_backward_and_update(self, loss: Tensor, names: Names = None) -> None:
        """Clear the gradients, compute them from the loss and step the optimisers."""
        self.model_zero_grad(names)
        self.model_backward(loss)
        self.model_update(names)
