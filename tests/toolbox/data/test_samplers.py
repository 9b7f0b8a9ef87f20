import random
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dassl.data.datasets import Datum
from dassl.data.samplers import RandomDomainSampler, build_sampler
from dassl.utils import set_random_seed

RECORDS: dict[str, tuple[str, dict[str, int]]] = {
    "RandomClassSampler_batch_size8_n_ins4": ("RandomClassSampler", {"batch_size": 8, "n_ins": 4}),
    "RandomDomainSampler_batch_size6_n_domain2": ("RandomDomainSampler", {"batch_size": 6, "n_domain": 2}),
    "RandomDomainSampler_batch_size6_n_domain0": ("RandomDomainSampler", {"batch_size": 6, "n_domain": 0}),
    "SeqDomainSampler_batch_size6": ("SeqDomainSampler", {"batch_size": 6}),
    "RandomSampler_": ("RandomSampler", {}),
}


@pytest.mark.parametrize("record", RECORDS)
def test_two_passes_equal_the_record(record: str, data: list[Datum], recorded: dict[str, Any]) -> None:
    name, settings_ = RECORDS[record]
    set_random_seed(1)
    sampler: Any = build_sampler(name, data_source=data, **settings_)
    here = [type(sampler).__name__, len(sampler), list(map(int, sampler)), list(map(int, sampler))]
    assert here == recorded["items"][f"sampler/{record}"]


@pytest.mark.parametrize("n_domain", [None, 0, -1])
def test_all_domains(n_domain: int | None, data: list[Datum]) -> None:
    sampler = RandomDomainSampler(data, 6, n_domain)
    assert sampler.n_domain == 3


def test_sequential(data: list[Datum]) -> None:
    sampler: Any = build_sampler("SequentialSampler", data_source=data)
    assert list(sampler) == list(range(56))


def sources(attribute: str, minimum: int) -> st.SearchStrategy[list[Any]]:
    """Shuffled items of two to four groups with at least ``minimum`` members each."""

    def expand(sizes: list[int]) -> st.SearchStrategy[list[Any]]:
        keys = [key for key, size in enumerate(sizes) for _ in range(size)]
        return st.permutations(keys).map(lambda order: [SimpleNamespace(**{attribute: key}) for key in order])

    return st.lists(st.integers(minimum, 9), min_size=2, max_size=4).flatmap(expand)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(source=sources("domain", 3), per_domain=st.integers(1, 3), seed=st.integers(0, 9), data=st.data())
def test_domain_batches(source: list[Any], per_domain: int, seed: int, data: st.DataObject) -> None:
    domains = len({item.domain for item in source})
    n_domain = data.draw(st.integers(1, domains))
    set_random_seed(seed)
    sampler: Any = build_sampler(
        "RandomDomainSampler", data_source=source, batch_size=n_domain * per_domain, n_domain=n_domain
    )
    order = list(sampler)
    assert len(set(order)) == len(order)
    for start in range(0, len(order), n_domain * per_domain):
        batch = Counter(source[i].domain for i in order[start : start + n_domain * per_domain])
        assert list(batch.values()) == [per_domain] * n_domain
    left = Counter(item.domain for item in source) - Counter(source[i].domain for i in order)
    assert min(left[domain] for domain in range(domains)) < per_domain


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(source=sources("domain", 2), seed=st.integers(0, 9))
def test_sequential_domain_batches(source: list[Any], seed: int) -> None:
    domains = sorted({item.domain for item in source})
    set_random_seed(seed)
    sampler: Any = build_sampler("SeqDomainSampler", data_source=source, batch_size=2 * len(domains))
    order = [source[i].domain for i in sampler]
    batch = [domain for domain in domains for _ in range(2)]
    assert order == batch * (len(order) // len(batch))
    assert len(order) == len(sampler)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(source=sources("label", 1), n_ins=st.integers(1, 4), seed=st.integers(0, 9), data=st.data())
def test_class_batches(source: list[Any], n_ins: int, seed: int, data: st.DataObject) -> None:
    classes = len({item.label for item in source})
    per_batch = data.draw(st.integers(1, classes))
    set_random_seed(seed)
    sampler: Any = build_sampler("RandomClassSampler", data_source=source, batch_size=per_batch * n_ins, n_ins=n_ins)
    order = list(sampler)
    assert order
    for start in range(0, len(order), per_batch * n_ins):
        batch = Counter(source[i].label for i in order[start : start + per_batch * n_ins])
        assert list(batch.values()) == [n_ins] * per_batch
    sizes = Counter(item.label for item in source)
    repeats = Counter(order)
    assert all(repeats[i] == 1 for i in repeats if sizes[source[i].label] >= n_ins)


@given(
    source=sources("label", 1),
    n_ins=st.integers(1, 4),
    seed=st.integers(0, 9),
    name=st.sampled_from(["RandomClassSampler", "RandomDomainSampler", "SeqDomainSampler"]),
)
def test_order_depends_on_the_global_generators_alone(source: list[Any], n_ins: int, seed: int, name: str) -> None:
    items: list[Any] = [SimpleNamespace(label=item.label, domain=index % 2) for index, item in enumerate(source)]
    assume(name == "RandomClassSampler" or len(items) >= 2 * n_ins)
    outcomes = []
    for _ in range(2):
        set_random_seed(seed)
        others = other_generators()
        sampler: Any = build_sampler(name, data_source=items, batch_size=2 * n_ins, n_ins=n_ins)
        orders = list(sampler), list(sampler)
        assert all(0 <= index < len(items) for order in orders for index in order)
        outcomes.append((orders, random.random(), other_generators()))
        short = name == "RandomClassSampler" and min(Counter(item.label for item in items).values()) < n_ins
        assert short or other_generators() == others
        assert other_generators()[1] == others[1]
    assert outcomes[0] == outcomes[1]


def other_generators() -> tuple[list[int], list[int]]:
    """The states of NumPy's generator, which only short classes draw from, and torch's, which nothing here does."""
    state: Any = np.random.get_state()
    return [*state[1].tolist(), state[2]], torch.get_rng_state().tolist()


def test_errors(data: list[Datum]) -> None:
    with pytest.raises(ValueError, match=r"sampler_type must be one of \[.*\], but got Nope"):
        build_sampler("Nope", data_source=data)
    with pytest.raises(ValueError, match=r"batch_size \(2\) must not be smaller than n_ins \(4\)"):
        build_sampler("RandomClassSampler", data_source=data, batch_size=2, n_ins=4)
    with pytest.raises(AssertionError, match=r"batch_size \(7\) must be divisible .* \(3\)"):
        build_sampler("SeqDomainSampler", data_source=data, batch_size=7)
    with pytest.raises(ValueError, match=r"n_domain \(4\) is more than the 3 domains"):
        build_sampler("RandomDomainSampler", data_source=data, batch_size=8, n_domain=4)
    with pytest.raises(ValueError, match="Domain 2 has 19 images, but a batch takes 20"):
        build_sampler("RandomDomainSampler", data_source=data, batch_size=60)
