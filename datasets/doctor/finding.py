"""What was seen of a data set, and what follows from it."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """The state of one data set.

    Attributes:
        name: Registry name.
        state: "whole", "partial" or "missing" (neither a list nor an image of it).
        images_found: Images that are there and not empty.
        images_expected: Images that the catalog knows of.
        splits_found: Listed images by "train", "val", "test"; empty where there is no list to read.
        splits_expected: The same from the catalog.
        classes_found: Classes with images.
        classes_expected: The same from the catalog.
        prompts: Class names found in the prompt file against all, "absent", "damaged", or "-" for none published.
        problems: What keeps the data set from being whole, one line each.
        notes: What is worth knowing but does not decide.
        next_step: What to do; empty where it is whole.
    """

    name: str
    state: str
    images_found: int
    images_expected: int
    splits_found: dict[str, int]
    splits_expected: dict[str, int]
    classes_found: int
    classes_expected: int
    prompts: str
    problems: list[str]
    notes: list[str]
    next_step: str


@dataclass
class Survey:
    """What the disk says of a data set, before it is compared with the catalog.

    Attributes:
        sizes: Listed images by part; None where the list is missing or cannot be read.
        has_list: Whether there is a list of the images, readable or not.
        smallest: Images of the smallest class by part.
        classes: Number of classes.
        classnames: One name per class, in label order.
        num_images: Images that are there and not empty.
        images: Their paths; those of training images in class folders only where they are to be decoded.
        problems: What keeps the data set from being whole.
        notes: What does not decide.
    """

    sizes: dict[str, int] | None = None
    has_list: bool = False
    smallest: dict[str, int] = field(default_factory=dict)
    classes: int = 0
    classnames: list[str] = field(default_factory=list)
    num_images: int = 0
    images: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
