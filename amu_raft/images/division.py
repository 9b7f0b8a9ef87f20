"""Own images divided into train, val and test, where their owner has not done so."""

import random
from collections.abc import Mapping
from pathlib import Path

from amu_raft.images.listing import SPLIT_NAMES, UNDIVIDED, Classes, Listing
from amu_raft.wording import shortened


def divided_parts(listing: Listing) -> dict[str, Classes]:
    """Return the images by class of train, val and test; what the listing lacks is taken from its other images.

    Undivided images become 50 % train, 20 % val and 30 % test. Without test images 30 % of the training images are kept
    apart to test with, and another 20 % for validation if there is none of it either.

    Args:
        listing: As ``check_listing`` returned it.

    Returns:
        All three parts, of which val and test may lack classes; train has all of ``listing.classes``, in their order.
    """
    parts: Mapping[str, Classes] = listing.parts
    if "test" not in parts:
        divided = divide(listing.trained, with_val="val" not in parts)
        parts = {**{name: parts[name] for name in parts if name != UNDIVIDED}, **divided}
    return {name: parts.get(name, {}) for name in SPLIT_NAMES}


def divide(classes: Classes, *, with_val: bool = True) -> dict[str, Classes]:
    """Divide each class into train, test and perhaps val, shuffled by a private generator.

    The generator is seeded with the class, so that adding a class leaves the others as they are. The first image goes
    to train and the second to test, however small the class; a class gets validation images from five images on.
    """
    parts: dict[str, Classes] = {name: {} for name in SPLIT_NAMES if with_val or name != "val"}
    for name, images in classes.items():
        order: list[Path] = list(images)
        random.Random(name).shuffle(order)
        num_val = len(order) // 5
        num_train = max(1, len(order) // 2 + (0 if with_val else num_val))
        if with_val:
            parts["val"][name] = order[num_train : num_train + num_val]
        parts["train"][name] = order[:num_train]
        parts["test"][name] = order[num_train + (num_val if with_val else 0) :]
    return parts


def describe_division(listing: Listing) -> str:
    """Say what ``divided_parts`` divides; empty if the parts are the owner's."""
    if "test" in listing.parts:
        return ""
    if "val" in listing.parts:
        return "no test images: 30 % of the training images of each class are kept apart to test with"
    return "divided per class, the same way every time: 50 % train, 20 % val, 30 % test"


def too_small(listing: Listing) -> str:
    """Name the classes that have too few images to be divided; empty if all have enough."""
    if "test" in listing.parts:
        return ""
    single = [name for name, images in listing.trained.items() if len(images) == 1]
    return f"one image only, so none to test with: {shortened(single)}" if single else ""
