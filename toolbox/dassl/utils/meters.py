"""Running averages of the numbers that a training loop reports."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from torch import Tensor


class AverageMeter:
    """The last value of a number and its average.

    Args:
        ema: Average exponentially, 0.9 of the old average and 0.1 of the new value, starting at zero.

    Attributes:
        val: The last value.
        avg: The average.
        sum: The weighted sum of all values.
        count: The sum of the weights.
    """

    def __init__(self, ema: bool = False) -> None:
        self.ema = ema
        self.reset()

    def reset(self) -> None:
        """Forget all values."""
        self.val: float = 0
        self.avg: float = 0
        self.sum: float = 0
        self.count: int = 0

    def update(self, val: float | Tensor, n: int = 1) -> None:
        """Take in a value, or a tensor of one element, that stands for ``n`` samples."""
        value = val.item() if isinstance(val, Tensor) else val
        self.val = value
        self.sum += value * n
        self.count += n
        self.avg = 0.9 * self.avg + 0.1 * value if self.ema else self.sum / self.count


class MetricMeter:
    """Average meters by name, printed as ``name value (average)``.

    Args:
        delimiter: What stands between the meters in the text.

    Attributes:
        meters: The meters by name, in order of first appearance.
    """

    def __init__(self, delimiter: str = " ") -> None:
        self.meters: defaultdict[str, AverageMeter] = defaultdict(AverageMeter)
        self.delimiter = delimiter

    def update(self, input_dict: Mapping[str, Any] | None) -> None:
        """Take in one value per name; None is ignored.

        Raises:
            TypeError: If the argument is neither None nor a mapping.
        """
        if input_dict is None:
            return
        if not isinstance(input_dict, Mapping):
            raise TypeError(f"Expected a dict of metric values or None, but got {type(input_dict).__name__}")
        for name, value in input_dict.items():
            self.meters[name].update(value)

    def __str__(self) -> str:
        return self.delimiter.join(f"{name} {meter.val:.4f} ({meter.avg:.4f})" for name, meter in self.meters.items())
