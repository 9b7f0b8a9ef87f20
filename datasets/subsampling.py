"""Base, new or all classes of a data set, the halves of the base-to-new protocol."""

from collections.abc import Sequence

from dassl.data.datasets import Datum
from datasets.listed_item import listed_item

SUBSAMPLE_CHOICES = ("all", "base", "new")


def subsample_classes(*args: Sequence[Datum], subsample: str = "all") -> Sequence[Sequence[Datum]]:
    """Keep the first half of the classes (base), the second half (new), or everything.

    The classes are the sorted labels of the first list; with an odd number base is the larger half. The kept labels are
    renumbered from 0 in that order. The order of items stays, their domain does not.

    Args:
        args: Lists of items, usually train, val and test.
        subsample: "all", "base" or "new".

    Returns:
        The arguments themselves for "all", else a list with a new list for each.

    Raises:
        AssertionError: If ``subsample`` is anything else.
    """
    if subsample not in SUBSAMPLE_CHOICES:
        raise AssertionError(f"SUBSAMPLE_CLASSES is {subsample!r}; accepted are {', '.join(SUBSAMPLE_CHOICES)}")
    if subsample == "all":
        return args
    print(f"SUBSAMPLE {subsample.upper()} CLASSES!")
    labels = sorted({item.label for item in args[0]})
    middle = (len(labels) + 1) // 2
    kept = labels[:middle] if subsample == "base" else labels[middle:]
    new_label = {label: position for position, label in enumerate(kept)}
    return [
        [listed_item(item.impath, new_label[item.label], item.classname) for item in items if item.label in new_label]
        for items in args
    ]
