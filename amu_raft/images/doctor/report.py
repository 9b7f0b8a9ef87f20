"""The examination of own images as text."""

from tabulate import tabulate

from amu_raft.images.doctor.examination import Examination
from amu_raft.images.listing import SPLIT_NAMES

MOST_CLASSES = 40  # rows of the table; of more classes the smallest are shown
MOST_LINES = 20  # of one kind, such as unreadable images
TITLES = {"failures": "To be mended before training:", "warnings": "Warnings:", "notes": "Good to know:"}


def format_examination(found: Examination) -> str:
    """Return what was found, a table of the classes, what is wrong and a last line that sums it up."""
    blocks = [f"{found.source}: {'; '.join(filter(None, (found.layout or 'no images found', found.division)))}"]
    if found.counts:
        blocks.append(format_counts(found))
    for kind, title in TITLES.items():
        lines: list[str] = getattr(found, kind)
        if lines:
            more = [f"... and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
            blocks.append("\n".join([title, *(f"- {line}" for line in [*lines[:MOST_LINES], *more])]))
    blocks.append(summary(found))
    return "\n\n".join(blocks)


def format_counts(found: Examination) -> str:
    """Return the table of images per class and split."""
    sizes = {name: sum(found.counts[part][label] for part in SPLIT_NAMES) for label, name in enumerate(found.names)}
    rows = [[name, *(found.counts[part][label] for part in SPLIT_NAMES)] for label, name in enumerate(found.names)]
    shown = list(rows)
    if len(rows) > MOST_CLASSES:
        shown = sorted(rows, key=lambda row: sizes[str(row[0])])[:MOST_CLASSES]
        shown.append([f"... and {len(rows) - MOST_CLASSES} larger ones", "", "", ""])
    total = [f"all {len(rows)} classes", *(sum(found.counts[part]) for part in SPLIT_NAMES)]
    return tabulate([*shown, total], ("class", *SPLIT_NAMES), tablefmt="github", disable_numparse=True)


def summary(found: Examination) -> str:
    """Return whether training can begin."""
    if not found.failures:
        return "Ready to train on."
    return f"Not ready to train on: {len(found.failures)} to be mended."
