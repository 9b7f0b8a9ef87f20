"""Statistics over the seeds of a run: mean, deviation, Student's interval, paired differences, harmonic mean."""

import math
import statistics
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Summary:
    """What some values have in common; in their unit.

    Attributes:
        count: How many values.
        mean: Their mean, None without values.
        std: Sample standard deviation (n - 1), None below two values.
        ci95: Half-width of Student's 95 % interval of the mean, None below two values.
    """

    count: int
    mean: float | None
    std: float | None
    ci95: float | None

    def spread(self, kind: str) -> float | None:
        """Return the deviation ("std") or the half-width of the interval ("ci95")."""
        return {"std": self.std, "ci95": self.ci95}[kind]


def summarise(values: Sequence[float]) -> Summary:
    """Summarise values; what too few of them do not define is None."""
    if not values:
        return Summary(0, None, None, None)
    std = statistics.stdev(values) if len(values) > 1 else None
    return Summary(len(values), statistics.fmean(values), std, interval95(values))


def interval95(values: Sequence[float]) -> float | None:
    """Return the half-width of Student's 95 % interval of the mean; a single value has none.

    CoOp's parser takes the normal distribution's 1.96 and the population's deviation, which makes the interval of
    three seeds 2.7 times narrower than it is.
    """
    if len(values) < 2:
        return None
    from scipy.special import stdtrit  # comes with scikit-learn and holds for any number of seeds; slow to import

    quantile = float(stdtrit(len(values) - 1, 0.975))
    return quantile * statistics.stdev(values) / math.sqrt(len(values))


def matched_differences(first: Mapping[Key, float], second: Mapping[Key, float]) -> dict[Key, float]:
    """Return first - second for every key that both have, in the order of the first."""
    return {key: value - second[key] for key, value in first.items() if key in second}


def harmonic_mean(base: float, new: float) -> float:
    """Return the harmonic mean of two accuracies, 0 if either is 0.

    Raises:
        ValueError: If one is negative.
    """
    if min(base, new) < 0:
        raise ValueError(f"no harmonic mean of {base} and {new}: an accuracy is not negative")
    return 2 * base * new / (base + new) if base + new else 0.0
