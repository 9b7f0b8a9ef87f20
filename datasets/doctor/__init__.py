"""Tell whether data sets are whole, from what lies on the disk at that moment.

``python -m datasets.doctor`` prints the table; ``inspect`` answers for one data set.
"""

from datasets.doctor.finding import Finding
from datasets.doctor.inspection import inspect

__all__ = ["Finding", "inspect"]
