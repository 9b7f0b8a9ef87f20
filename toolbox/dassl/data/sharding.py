"""Dividing training batches among processes that train together."""

from collections.abc import Iterator

from torch.utils.data import Sampler

from dassl.utils.distributed import from_main, rank, world_size


class ShardedSampler(Sampler[int]):
    """This process's part of every batch that another sampler gives.

    The main process's order counts, so the batches are those of one process with the same seed, whatever else
    the processes draw. A short last batch that the loader would keep is filled up from its beginning until it can
    be divided; one that the loader would drop is left out.

    Args:
        sampler: The order of a whole epoch.
        batch_size: Images in a batch of all processes together.
        drop_last: Whether the loader drops a short last batch.

    Raises:
        ValueError: If a batch cannot be divided evenly.
    """

    def __init__(self, sampler: Sampler[int], batch_size: int, drop_last: bool) -> None:
        if batch_size % world_size():
            raise ValueError(
                f"The batch size ({batch_size}) must be divisible by the number of processes ({world_size()})"
            )
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.total: int = from_main(len(sampler))  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[int]:
        order = from_main(list(self.sampler))
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            if len(batch) < self.batch_size and self.drop_last:
                return
            batch += (batch * world_size())[: -len(batch) % world_size()]
            share = len(batch) // world_size()
            yield from batch[rank() * share : (rank() + 1) * share]

    def __len__(self) -> int:
        whole, left = divmod(self.total, self.batch_size)
        left = 0 if self.drop_last else -(-left // world_size())
        return whole * (self.batch_size // world_size()) + left
