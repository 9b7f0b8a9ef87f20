"""Checkpoints of the models that a trainer has registered."""

import os

from dassl.engine.models import RegisteredModels
from dassl.utils.checkpoint import (
    BEST_NAME,
    PERIODIC_PREFIX,
    align_checkpoints,
    load_checkpoint,
    load_weights_strictly,
    resume_from_checkpoint,
    save_checkpoint,
)
from dassl.utils.distributed import barrier, is_main, unwrap


class SavedModels(RegisteredModels):
    """Registered models that can be saved, resumed and loaded."""

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
        for name in self.get_model_names() if is_main() else ():
            model, optim, sched = self._models[name], self._optims[name], self._scheds[name]
            state = {
                "state_dict": {} if model is None else unwrap(model).state_dict(),
                "epoch": epoch + 1,
                "optimizer": None if optim is None else optim.state_dict(),
                "scheduler": None if sched is None else sched.state_dict(),
                "val_result": val_result,
            }
            save_checkpoint(state, os.path.join(directory, name), is_best=is_best, model_name=model_name)
        barrier()  # another process must not look for a file that is still being written

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
            file_name = BEST_NAME if epoch is None else f"{PERIODIC_PREFIX}{epoch}"
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
