"""The likeliest classes of each image and their probabilities: what is kept of logits that are too many to keep."""

from typing import NamedTuple

import torch
from torch import Tensor

NUM_KEPT = 5
_BLOCK = 4096  # rows at a time: a softmax over 50,000 images and 1,000 classes would take 200 MB more


class TopClasses(NamedTuple):
    """The k = min(5, C) likeliest classes of N images, likeliest first.

    Attributes:
        labels: (N, k), int32.
        probabilities: Softmax over all C classes, (N, k), float32.
    """

    labels: Tensor
    probabilities: Tensor


@torch.no_grad()
def top_classes(logits: Tensor) -> TopClasses:
    """Return the likeliest classes of logits (N, C), on the CPU; the first is ``argmax``'s, also among equal ones."""
    parts = [_top_of_block(block) for block in logits.split(_BLOCK)]
    return TopClasses(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _top_of_block(logits: Tensor) -> tuple[Tensor, Tensor]:
    labels = logits.topk(min(NUM_KEPT, logits.shape[1]), dim=1).indices
    first = logits.argmax(dim=1)
    # Among equal logits topk may put another class first; the two change places, or the last of the k makes room.
    elsewhere = labels == first[:, None]
    place = torch.where(elsewhere.any(dim=1), elsewhere.int().argmax(dim=1), labels.shape[1] - 1)
    labels.scatter_(1, place[:, None], labels[:, :1].clone())
    labels[:, 0] = first
    logits = logits.float()
    logits = logits - logits.amax(dim=1, keepdim=True)  # a softmax does not change, and large logits lose no digits
    probabilities = (logits.gather(1, labels) - logits.logsumexp(dim=1, keepdim=True)).exp()
    return labels.int().cpu(), probabilities.cpu()
