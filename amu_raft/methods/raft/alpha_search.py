"""RAFT's alpha: how far predictions move from frozen CLIP (0) to the tuned pooling (1)."""

from torch import Tensor

from amu_raft.methods.selection import STANDARD_ERROR_RULE, Tuning, accuracy_percent, beyond_chance, surface

ALPHA_RULES = {"one_standard_error": STANDARD_ERROR_RULE, "first_best": "the first alpha with the highest accuracy"}


def mix_logits(zero_shot_logits: Tensor, region_logits: Tensor, *, fusion_alpha: float) -> Tensor:
    """Return alpha * region + (1 - alpha) * zero-shot logits, (N, C)."""
    return fusion_alpha * region_logits + (1 - fusion_alpha) * zero_shot_logits


def search_alpha(
    zero_shot_logits: Tensor,
    region_logits: Tensor,
    labels: Tensor,
    *,
    low: float = 0.0,
    high: float = 1.0,
    steps: int = 50,
    rule: str = "one_standard_error",
) -> Tuning:
    """Choose alpha on a grid by accuracy on validation images.

    Args:
        zero_shot_logits: (N, C) of validation images.
        region_logits: (N, C) of the same.
        labels: (N,).
        low: First alpha of the grid.
        high: Last alpha.
        steps: Number of intervals; the grid has one point more.
        rule: "first_best" is the released one: the first alpha with the highest accuracy, which falls back to
            zero-shot on ties. "one_standard_error" keeps the last alpha, the tuned pooling, unless another is better
            by more than one standard error of its accuracy, and then takes the best, nearest to the last on ties:
            a handful of validation images cannot overrule training by chance.

    Raises:
        ValueError: If the rule is unknown, the grid empty or there are no images.

    Source:
        RAFT (ICME 2024), inference; the released grid is 0, 0.02 .. 1.
    """
    if rule not in ALPHA_RULES:
        raise ValueError(f"unknown alpha rule {rule!r}; choose from {', '.join(ALPHA_RULES)}")
    if steps < 1:
        raise ValueError(f"the alpha grid needs at least one step, got {steps}")
    alphas = [i * (high - low) / steps + low for i in range(steps + 1)]

    def accuracy_of(alpha: float) -> float:
        return accuracy_percent(mix_logits(zero_shot_logits, region_logits, fusion_alpha=alpha), labels)

    accuracies = surface([alphas], accuracy_of)
    if rule == "first_best":
        place: tuple[int, ...] = (int((accuracies == accuracies.max()).nonzero()[0]),)
    else:
        place = beyond_chance(accuracies, len(labels), (steps,))
    return Tuning({"fusion_alpha": alphas}, accuracies, place, len(labels), ALPHA_RULES[rule])
