"""Samplers of training batches by domain or class.

The three samplers of this project draw from Python's global ``random``, and iterate once while being made to
learn their length: the sequence of draws is part of the contract.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from torch.utils.data import RandomSampler, Sampler, SequentialSampler
from yacs.config import CfgNode

from dassl.data.datasets.base_dataset import Datum


class RandomDomainSampler(Sampler[int]):
    """Batches of equally many images from each of some domains drawn at random.

    An epoch ends when a domain has too few images left for another batch.

    Args:
        data_source: The images.
        batch_size: Images in a batch, a multiple of the number of domains in it.
        n_domain: Domains in a batch; None or not positive means all.

    Raises:
        AssertionError: If the batch size is not divisible.
        ValueError: If there are fewer domains, or a domain has too few images for one batch.
    """

    def __init__(self, data_source: Sequence[Datum], batch_size: int, n_domain: int | None) -> None:
        self.data_source = data_source
        self.domain_dict = _indices_by(data_source, "domain")
        self.domains = list(self.domain_dict)
        self.n_domain = n_domain if n_domain and n_domain > 0 else len(self.domains)
        self.batch_size = batch_size
        self.n_img_per_domain = self._count_per_domain()
        self.length = len(list(iter(self)))

    def _count_per_domain(self) -> int:
        if self.batch_size % self.n_domain:
            raise AssertionError(
                f"batch_size ({self.batch_size}) must be divisible by the number of domains in it ({self.n_domain})"
            )
        if self.n_domain > len(self.domains):
            raise ValueError(f"n_domain ({self.n_domain}) is more than the {len(self.domains)} domains of the data")
        count = self.batch_size // self.n_domain
        for domain, indices in self.domain_dict.items():
            if len(indices) < count:
                raise ValueError(f"Domain {domain} has {len(indices)} images, but a batch takes {count} of a domain")
        return count

    def choose_domains(self) -> list[int]:
        """Return the domains of the next batch."""
        return random.sample(self.domains, self.n_domain)

    def __iter__(self) -> Iterator[int]:
        left = {domain: list(indices) for domain, indices in self.domain_dict.items()}
        order: list[int] = []
        while True:
            for domain in self.choose_domains():
                drawn = random.sample(left[domain], self.n_img_per_domain)
                order.extend(drawn)
                taken = set(drawn)
                left[domain] = [index for index in left[domain] if index not in taken]
            if any(len(indices) < self.n_img_per_domain for indices in left.values()):
                return iter(order)

    def __len__(self) -> int:
        return self.length


class SeqDomainSampler(RandomDomainSampler):
    """Batches of equally many images from every domain, in a fixed order of domains.

    Args:
        data_source: The images.
        batch_size: Images in a batch, a multiple of the number of domains.

    Raises:
        AssertionError: If the batch size is not divisible.
    """

    def __init__(self, data_source: Sequence[Datum], batch_size: int) -> None:
        super().__init__(data_source, batch_size, n_domain=-1)

    def choose_domains(self) -> list[int]:
        """Return all domains in ascending order."""
        return sorted(self.domains)


class RandomClassSampler(Sampler[int]):
    """Batches of ``n_ins`` images from each of some classes drawn at random.

    Args:
        data_source: The images.
        batch_size: Images in a batch.
        n_ins: Images per class in a batch. A class with fewer is filled up with replacement.

    Raises:
        ValueError: If the batch size is smaller than n_ins.
    """

    def __init__(self, data_source: Sequence[Datum], batch_size: int, n_ins: int) -> None:
        if batch_size < n_ins:
            raise ValueError(f"batch_size ({batch_size}) must not be smaller than n_ins ({n_ins})")
        self.data_source = data_source
        self.batch_size = batch_size
        self.n_ins = n_ins
        self.ncls_per_batch = batch_size // n_ins
        self.index_dic = _indices_by(data_source, "label")
        self.labels = list(self.index_dic)
        self.length = len(list(iter(self)))

    def __iter__(self) -> Iterator[int]:
        groups = {label: self._groups(indices) for label, indices in self.index_dic.items()}
        available = list(self.labels)
        order: list[int] = []
        while len(available) >= self.ncls_per_batch:
            for label in random.sample(available, self.ncls_per_batch):
                order.extend(groups[label].pop(0))
                if not groups[label]:
                    available.remove(label)
        return iter(order)

    def _groups(self, indices: list[int]) -> list[list[int]]:
        """Shuffle the images of a class and cut them into groups of n_ins; what is left over is not used."""
        pool = list(indices)
        if len(pool) < self.n_ins:
            pool = [int(index) for index in np.random.choice(pool, size=self.n_ins, replace=True)]
        random.shuffle(pool)
        return [pool[start : start + self.n_ins] for start in range(0, len(pool) - self.n_ins + 1, self.n_ins)]

    def __len__(self) -> int:
        return self.length


def build_sampler(
    sampler_type: str,
    cfg: CfgNode | None = None,
    data_source: Sequence[Datum] | None = None,
    batch_size: int = 32,
    n_domain: int = 0,
    n_ins: int = 16,
) -> Sampler[int]:
    """Return a sampler by its name.

    Args:
        sampler_type: RandomSampler, SequentialSampler, RandomDomainSampler, SeqDomainSampler or RandomClassSampler.
        cfg: Not used; part of the interface.
        data_source: The images.
        batch_size: Images in a batch.
        n_domain: Domains in a batch, for RandomDomainSampler.
        n_ins: Images per class in a batch, for RandomClassSampler.

    Raises:
        ValueError: If the name is another.
    """
    source: Any = [] if data_source is None else data_source
    makers: dict[str, Callable[[], Sampler[int]]] = {
        "RandomSampler": lambda: RandomSampler(source),
        "SequentialSampler": lambda: SequentialSampler(source),
        "RandomDomainSampler": lambda: RandomDomainSampler(source, batch_size, n_domain),
        "SeqDomainSampler": lambda: SeqDomainSampler(source, batch_size),
        "RandomClassSampler": lambda: RandomClassSampler(source, batch_size, n_ins),
    }
    if sampler_type not in makers:
        raise ValueError(f"sampler_type must be one of {list(makers)}, but got {sampler_type}")
    return makers[sampler_type]()


def _indices_by(data_source: Sequence[Datum], attribute: str) -> dict[int, list[int]]:
    """Return the positions of the images by domain or label, keys in order of first appearance."""
    groups: dict[int, list[int]] = {}
    for index, item in enumerate(data_source):
        groups.setdefault(getattr(item, attribute), []).append(index)
    return groups
