"""Text features: computed once for a list of prompts and kept in the feature store."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from amu_raft.features.descriptions import describe_arithmetic
from amu_raft.features.store import FeatureStore, key_of, library_versions


def stored_text_features(
    store: FeatureStore,
    identity: Mapping[str, Any],
    prompts: list[list[str]],
    *,
    kind: str,
    num_rows: int,
    device: torch.device,
    compute: Callable[[], Tensor],
) -> Tensor:
    """Return text features from the store, computed first if they are not there.

    Args:
        store: Where they are kept.
        identity: What tells the text encoder from others: name, checksum of its weights, precision.
        prompts: The sentences that they are made of, class by class.
        kind: What is made of the sentences, such as "class columns".
        num_rows: How many rows that gives.
        device: Where they go, and where they are computed.
        compute: Returns them, (num_rows, D); called only if they are not stored.
    """
    description = {
        "feature": f"text, {kind}",
        "encoder": dict(identity),
        "prompts": key_of({"prompts": prompts}),
        "versions": library_versions(),
        "arithmetic": describe_arithmetic(device),
    }
    entry = store.fetch({"text": description}, num_rows, lambda names: [{"text": compute()}])["text"]
    return entry.rows().to(device)
