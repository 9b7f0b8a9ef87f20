"""Models that a trainer has registered, with their optimisers and schedules, and the parts of a training step."""

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from dassl.utils.distributed import share_gradients, share_weights, world_size
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
        if model is not None and world_size() > 1:
            model = self.wrap_model(model, optim)
        self._models[name] = model
        self._optims[name] = optim
        self._scheds[name] = sched

    def wrap_model(self, model: nn.Module, optim: Optimizer | None) -> nn.Module:
        """Hook: make a model train together with its copies in the other processes.

        Called when a model is registered while ``torch.distributed`` runs several processes, never otherwise. This
        gives all processes the main one's weights and buffers, and averages the gradients of the trained parameters
        over the processes from then on. An override may wrap the model instead, in DistributedDataParallel say;
        files hold the inner model's weights in either case.

        Args:
            model: The model, on its device.
            optim: Its optimiser, whose parameters need not all be the model's.

        Returns:
            What is registered.
        """
        trained = [] if optim is None else [param for group in optim.param_groups for param in group["params"]]
        share_weights([*dict.fromkeys([*model.parameters(), *trained]), *model.buffers()])
        share_gradients([*model.parameters(), *trained])
        return model

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
                model.train() if mode == "train" else model.eval()

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
        # For one number this is a tenth of the time of torch.isfinite, and it is asked at every step.
        finite = math.isfinite(loss.item()) if loss.numel() == 1 else bool(torch.isfinite(loss).all())
        if not finite:
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
