"""Accuracy, macro F1, accuracy per class and confusion matrix of a classifier."""

import os
from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from yacs.config import CfgNode

from dassl.evaluation.registry import EVALUATOR_REGISTRY
from dassl.utils.distributed import is_main
from dassl.utils.files import atomic_write, mkdir_if_missing


class EvaluatorBase:
    """What an evaluator offers: forget everything, take in batches, compute the results."""

    def __init__(self, cfg: CfgNode) -> None:
        self.cfg = cfg

    def reset(self) -> None:
        """Forget the batches taken in so far."""
        raise NotImplementedError

    def process(self, mo: Tensor, gt: Tensor) -> None:
        """Take in a batch of model outputs and true labels."""
        raise NotImplementedError

    def evaluate(self) -> "OrderedDict[str, Any]":
        """Return the results by name; the first is the one that counts."""
        raise NotImplementedError


@EVALUATOR_REGISTRY.register()
class Classification(EvaluatorBase):
    """Evaluator of a classifier.

    Args:
        cfg: The configuration; its TEST node counts.
        lab2cname: Class names by label, for the result per class.

    Raises:
        ValueError: If TEST.PER_CLASS_RESULT is on and the names are not given.
    """

    def __init__(self, cfg: CfgNode, lab2cname: dict[int, str] | None = None, **kwargs: Any) -> None:
        super().__init__(cfg)
        if cfg.TEST.PER_CLASS_RESULT and lab2cname is None:
            raise ValueError("TEST.PER_CLASS_RESULT needs the class names, but lab2cname is None")
        self._lab2cname = lab2cname
        self.reset()

    def reset(self) -> None:
        """Forget the batches taken in so far."""
        self._y_true: list[int] = []
        self._y_pred: list[int] = []
        self._num_outputs = 0

    def process(self, mo: Tensor, gt: Tensor) -> None:
        """Take in a batch.

        Args:
            mo: Scores, (N, C); the highest is the prediction.
            gt: True labels, (N,).
        """
        self._y_true.extend(gt.tolist())
        self._y_pred.extend(mo.argmax(dim=1).tolist())
        self._num_outputs = max(self._num_outputs, mo.shape[1])

    def evaluate(self) -> "OrderedDict[str, Any]":
        """Compute and print the results.

        Returns:
            accuracy, error_rate and macro_f1, and perclass_accuracy if asked for, all in percent.

        Raises:
            ValueError: If no sample has been taken in.
        """
        if not self._y_true:
            raise ValueError("There is nothing to evaluate: the evaluator has not been given any sample")
        true, pred = np.asarray(self._y_true), np.asarray(self._y_pred)
        total, correct = len(true), int((true == pred).sum())
        results: OrderedDict[str, Any] = OrderedDict()
        results["accuracy"] = 100.0 * correct / total
        results["error_rate"] = 100.0 - results["accuracy"]
        results["macro_f1"] = 100.0 * _macro_f1(true, pred)
        print(
            "=> result\n"
            f"* total: {total:,}\n"
            f"* correct: {correct:,}\n"
            f"* accuracy: {results['accuracy']:.1f}%\n"
            f"* error: {results['error_rate']:.1f}%\n"
            f"* macro_f1: {results['macro_f1']:.1f}%"
        )
        if self.cfg.TEST.PER_CLASS_RESULT:
            results["perclass_accuracy"] = self._print_per_class(true, pred)
        if self.cfg.TEST.COMPUTE_CMAT and is_main():
            self._save_confusion_matrix(true, pred)
        return results

    def _print_per_class(self, true: NDArray[Any], pred: NDArray[Any]) -> float:
        """Print the accuracy of every class that occurs and return their mean, in percent."""
        print("=> per-class result")
        accuracies = []
        for label in np.unique(true).tolist():
            of_class = true == label
            total, correct = int(of_class.sum()), int((pred[of_class] == label).sum())
            accuracies.append(100.0 * correct / total)
            name = (self._lab2cname or {}).get(label, "")
            print(f"* class: {label} ({name})\ttotal: {total:,}\tcorrect: {correct:,}\tacc: {accuracies[-1]:.1f}%")
        mean = float(np.mean(accuracies))
        print(f"* average: {mean:.1f}%")
        return mean

    def _save_confusion_matrix(self, true: NDArray[Any], pred: NDArray[Any]) -> None:
        """Save the matrix of true class by predicted class, every row a distribution, or zeros if it is absent.

        It is a tensor, which torch.load reads by default, over all classes, so that its size does not depend on
        which of them occur.
        """
        size = max(self._num_outputs, len(self._lab2cname or {}), int(true.max()) + 1)
        counts = np.zeros((size, size))
        np.add.at(counts, (true, pred), 1)
        matrix = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        mkdir_if_missing(self.cfg.OUTPUT_DIR)
        path = os.path.join(self.cfg.OUTPUT_DIR, "cmat.pt")
        with atomic_write(path, "wb") as stream:
            torch.save(torch.from_numpy(matrix), stream)
        print(f"Confusion matrix is saved to {path}")


def _macro_f1(true: NDArray[Any], pred: NDArray[Any]) -> float:
    """Return the mean F1 score, in [0, 1], over the labels that occur in the truth."""
    scores = []
    for label in np.unique(true):
        hits = int(((true == label) & (pred == label)).sum())
        # F1 = 2 hits / (positives in truth + positives in prediction); the first is at least 1.
        scores.append(2 * hits / (int((true == label).sum()) + int((pred == label).sum())))
    return float(np.mean(scores))
