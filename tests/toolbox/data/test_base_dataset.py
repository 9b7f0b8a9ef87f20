import base64
import pickle
import random
import tarfile
import warnings
import zipfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum, build_dataset
from dassl.utils import set_random_seed


def ids(items: Any) -> list[str]:
    return [Path(item.impath).stem for item in items]


@pytest.fixture
def base(data: list[Datum]) -> DatasetBase:
    return DatasetBase(train_x=data, val=data[:5], test=data[5:9])


@pytest.mark.filterwarnings("ignore:Classes with fewer")
def test_samples_equal_the_records(
    base: DatasetBase, recorded: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    records = {key: value for key, value in recorded["items"].items() if key.startswith("fewshot/seed")}
    assert records
    for key, record in records.items():
        seed, shots = (int(part) for part in key.removeprefix("fewshot/seed").split("_shot"))
        set_random_seed(seed)
        train = base.generate_fewshot_dataset(base.train_x, num_shots=shots)
        val = base.generate_fewshot_dataset(base.train_x, num_shots=min(shots, 4))
        assert [ids(train), ids(val), capsys.readouterr().out, random.random()] == record, key


@pytest.mark.filterwarnings("ignore:Classes with fewer")
def test_two_sources_equal_the_record(base: DatasetBase, data: list[Datum], recorded: dict[str, Any]) -> None:
    set_random_seed(1)
    drawn = base.generate_fewshot_dataset(data, data[:30], num_shots=2)
    assert [type(drawn).__name__, len(drawn), ids(drawn[0]), ids(drawn[1])] == recorded["items"]["fewshot/two_sources"]


def test_all_shots_give_the_sources_themselves(
    base: DatasetBase, data: list[Datum], capsys: pytest.CaptureFixture[str]
) -> None:
    assert base.generate_fewshot_dataset(data, num_shots=0) is data
    both = base.generate_fewshot_dataset(data, data[:5])
    assert isinstance(both, tuple)
    assert both[0] is data
    assert capsys.readouterr().out == ""


def test_one_warning_names_all_short_classes(base: DatasetBase, data: list[Datum]) -> None:
    with pytest.warns(UserWarning) as caught:
        base.generate_fewshot_dataset(data, data, num_shots=8)
    assert [str(warning.message) for warning in caught] == [
        "Classes with fewer than 8 images are taken whole: name_2 (7), name_4 (5), name_1 (3)"
    ]


def test_nothing_is_warned_about_without_reason(base: DatasetBase, data: list[Datum]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        base.generate_fewshot_dataset(data, num_shots=3)
        repeated = base.generate_fewshot_dataset(data, num_shots=8, repeat=True)
    assert set(Counter(item.label for item in repeated).values()) == {8}


def fake(labels: list[int]) -> list[Any]:
    return [SimpleNamespace(label=label, classname=f"c{label}", domain=0, index=i) for i, label in enumerate(labels)]


@settings(deadline=None)
@given(labels=st.lists(st.integers(0, 5), min_size=1, max_size=40), shots=st.integers(1, 10), seed=st.integers(0, 99))
def test_properties_of_samples(labels: list[int], shots: int, seed: int) -> None:
    base, items = DatasetBase(), fake(labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        random.seed(seed)
        drawn: Any = base.generate_fewshot_dataset(items, num_shots=shots)
        random.seed(seed)
        again = base.generate_fewshot_dataset(items, num_shots=shots)
    counts = Counter(labels)
    assert Counter(item.label for item in drawn) == {label: min(shots, n) for label, n in counts.items()}
    assert len({item.index for item in drawn}) == len(drawn)
    assert list(dict.fromkeys(item.label for item in drawn)) == list(dict.fromkeys(labels))
    assert drawn == again
    for label, count in counts.items():
        if count < shots:
            kept = [item.index for item in drawn if item.label == label]
            assert kept == sorted(kept)


def sample_by_the_rules(items: list[Any], shots: int, repeat: bool) -> list[Any]:
    """Few-shot sampling written down a second time, from its rules alone."""
    labels = sorted({item.label for item in items}, key=[item.label for item in items].index)
    drawn = []
    for label in labels:
        stored = [item for item in items if item.label == label]
        if len(stored) >= shots:
            drawn += random.sample(stored, shots)
        else:
            drawn += random.choices(stored, k=shots) if repeat else stored
    return drawn


def other_generators() -> tuple[list[int], list[int]]:
    """The states of NumPy's and torch's generators."""
    state: Any = np.random.get_state()
    return [*state[1].tolist(), state[2]], torch.get_rng_state().tolist()


@given(
    sources=st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=25), min_size=1, max_size=3),
    shots=st.integers(1, 9),
    repeat=st.booleans(),
    seed=st.integers(0, 99),
)
def test_samples_follow_the_rules_and_leave_the_generator_where_they_say(
    sources: list[list[int]], shots: int, repeat: bool, seed: int
) -> None:
    items = [fake(labels) for labels in sources]
    others = other_generators()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        random.seed(seed)
        drawn: Any = DatasetBase().generate_fewshot_dataset(*items, num_shots=shots, repeat=repeat)
        state = random.getstate()
    random.seed(seed)
    expected = [sample_by_the_rules(source, shots, repeat) for source in items]
    assert drawn == (expected[0] if len(expected) == 1 else expected)
    assert random.getstate() == state
    assert other_generators() == others


@settings(deadline=None)
@given(labels=st.lists(st.integers(0, 5), min_size=1, max_size=20), shots=st.integers(21, 30))
@pytest.mark.filterwarnings("ignore:Classes with fewer")
def test_short_classes_draw_nothing(labels: list[int], shots: int) -> None:
    before = random.getstate()
    DatasetBase().generate_fewshot_dataset(fake(labels), num_shots=shots)
    assert random.getstate() == before


def test_sampling_works_before_the_constructor(data: list[Datum]) -> None:
    drawn: Any = DatasetBase.__new__(DatasetBase).generate_fewshot_dataset(data, num_shots=1)
    assert len(drawn) == 6


def test_groups_equal_the_record(base: DatasetBase, data: list[Datum], recorded: dict[str, Any]) -> None:
    here = [
        [[label, ids(items)] for label, items in base.split_dataset_by_label(data).items()],
        [[domain, len(items)] for domain, items in base.split_dataset_by_domain(data).items()],
    ]
    assert here == recorded["items"]["base/split_by"]


def test_attributes(base: DatasetBase, data: list[Datum]) -> None:
    assert base.train_x is data
    assert base.train_u is None
    assert (len(base.val or ()), len(base.test or ())) == (5, 4)
    assert base.num_classes == 6
    assert base.classnames == [f"name_{i}" for i in range(6)]
    assert list(base.lab2cname) == list(range(6))
    assert (base.dataset_dir, base.domains) == ("", [])
    with pytest.raises(AttributeError):
        base.train_x = []  # type: ignore[misc]


def test_gaps_in_labels_count(data: list[Datum]) -> None:
    items = [Datum(data[0].impath, label=label, classname=f"n{label}") for label in (4, 0)]
    base = DatasetBase(train_x=items, test=items)
    assert (base.num_classes, base.classnames, base.lab2cname) == (5, ["n0", "n4"], {0: "n0", 4: "n4"})


def test_classes_of_no_training_images_are_unknown() -> None:
    with pytest.raises(ValueError, match="DatasetBase has no labelled training images"):
        DatasetBase().num_classes  # noqa: B018


def test_domain_check(base: DatasetBase) -> None:
    base.domains = ["a", "b"]
    base.check_input_domains(["a"], ["b"])
    with pytest.raises(AssertionError, match="source domains are empty"):
        base.check_input_domains([], ["b"])
    with pytest.raises(AssertionError, match="target domains are empty"):
        base.check_input_domains(["a"], [])
    with pytest.raises(ValueError, match=r"source domain must be one of \['a', 'b'\], but got c"):
        base.check_input_domains(["c"], ["a"])


def test_datum(data: list[Datum]) -> None:
    item = Datum(data[0].impath, 3, 2, "cat")
    assert (item.impath, item.label, item.domain, item.classname) == (data[0].impath, 3, 2, "cat")
    assert sorted(vars(item)) == ["_classname", "_domain", "_impath", "_label"]
    with pytest.raises(AttributeError):
        item.label = 3  # type: ignore[misc]


def test_datum_needs_a_file(data: list[Datum]) -> None:
    with (
        pytest.warns(UserWarning, match="No file found"),
        pytest.raises(AssertionError, match='No image file at "/n/x"'),
    ):
        Datum("/n/x")
    with pytest.raises(AssertionError, match="impath must be a str, but got PosixPath"):
        Datum(Path(data[0].impath))  # type: ignore[arg-type]


def test_pickles_of_other_versions(recorded: dict[str, Any]) -> None:
    loaded = pickle.loads(base64.b64decode(recorded["pickle"]))
    here = [[item.impath, item.label, item.domain, item.classname] for item in loaded["train"]]
    assert here == recorded["items"]["datum/upstream_pickle"]


def test_own_pickles(data: list[Datum]) -> None:
    again = pickle.loads(pickle.dumps(data[0]))
    assert vars(again) == vars(data[0])
    assert type(again).__module__ == "dassl.data.datasets.base_dataset"


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz"])
def test_archives_are_unpacked(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "inner.txt"
    source.write_text("text")
    archive = tmp_path / f"source.{ending}"
    if ending == "zip":
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.write(source, "inner.txt")
    else:
        with tarfile.open(archive, "w:gz" if ending == "tar.gz" else "w") as tarred:
            tarred.add(source, "inner.txt")
    target = tmp_path / "new" / f"copy.{ending}"
    DatasetBase().download_data(archive.as_uri(), str(target), from_gdrive=False)
    assert (tmp_path / "new" / "inner.txt").read_text() == "text"


def test_unknown_archives_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must end in \.zip, \.tar or \.tar\.gz, but got x\.rar"):
        DatasetBase().download_data("url", "x.rar")


def test_archives_need_a_python_that_unpacks_them_safely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(tarfile, "data_filter")
    with pytest.raises(RuntimeError, match=r"cannot unpack x\.tar safely"):
        DatasetBase().download_data("url", "x.tar")


def test_bundled_data_sets_are_upstreams(make_cfg: Any) -> None:
    with pytest.raises(ValueError, match=r"Data set PACS comes only with upstream Dassl\.pytorch"):
        build_dataset(make_cfg(DATASET__NAME="PACS"))
    with pytest.raises(ImportError, match="OfficeHome comes only with upstream"):
        from dassl.data.datasets import OfficeHome  # type: ignore[attr-defined]  # noqa: F401
    with pytest.raises(ImportError, match="cannot import name 'Nope'"):
        from dassl.data.datasets import Nope  # type: ignore[attr-defined]  # noqa: F401


def test_a_bundled_name_can_be_registered(make_cfg: Any, data: list[Datum]) -> None:
    class PACS(DatasetBase):
        def __init__(self, cfg: Any) -> None:
            super().__init__(train_x=data)

    DATASET_REGISTRY.register(PACS)
    assert isinstance(build_dataset(make_cfg(DATASET__NAME="PACS")), PACS)


def test_unknown_data_set(make_cfg: Any) -> None:
    with pytest.raises(
        ValueError, match=r"belong to \[.*'TinySet'.*\], but got \[TinySett\] \(do you mean \[TinySet\]"
    ):
        build_dataset(make_cfg(DATASET__NAME="TinySett"))
