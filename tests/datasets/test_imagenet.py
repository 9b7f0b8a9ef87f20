import json
import pickle
import random
import shutil
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datasets import class_names
from datasets.imagenet import ImageNet
from datasets.validation import has_own_validation
from tests.datasets.miniatures.imagenet import CLASSNAMES, WNIDS, write_classnames, write_imagenet

Load = Callable[..., ImageNet]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    class_names._print_once.cache_clear()
    return write_imagenet(tmp_path / "data")


@pytest.fixture
def load(make_cfg: Callable[..., Any], folder: Path) -> Load:
    def build(*, shots: int = -1, seed: int = 1, subsample: str | None = None) -> ImageNet:
        random.seed(seed)
        return ImageNet(make_cfg(folder.parent, shots=shots, seed=seed, subsample=subsample))

    return build


def paths(items: Any, folder: Path) -> list[str]:
    return [str(Path(item.impath).relative_to(folder / "images")) for item in items]


def test_labels_follow_the_sorted_folders_and_names_the_text_file(load: Load, folder: Path) -> None:
    # Lines in another order than the folders: they name classes, they do not number them.
    write_classnames(folder, dict(reversed(CLASSNAMES.items())))
    data = load()
    assert data.classnames == list(CLASSNAMES.values()) and data.num_classes == 12
    for item in [*data.train_x, *data.test]:
        wnid = Path(item.impath).parent.name
        assert (item.label, item.classname, item.domain) == (WNIDS.index(wnid), CLASSNAMES[wnid], 0)
    assert (len(data.train_x), len(data.test)) == (60, 24)
    names = [Path(path).name for path in paths(data.train_x[:5], folder)]
    assert names == sorted(f"n01440764_{number}.JPEG" for number in range(8, 13))  # as text: 10, 11, 12, 8, 9
    assert all(Path(item.impath).is_file() for item in [*data.train_x, *data.test])


def test_all_training_images_leave_none_to_validate_on(load: Load) -> None:
    for subsample in ("all", "new"):
        data = load(subsample=subsample)
        assert data.val is data.test
        assert len(data.test) == 2 * data.num_classes
        assert not has_own_validation(data)


def test_few_shot_runs_validate_on_training_images_that_they_are_not_trained_on(load: Load, folder: Path) -> None:
    for shots, left, subsample in ((1, 1, "all"), (2, 2, "base"), (3, 2, "all"), (4, 1, "new")):  # five of each class
        data = load(shots=shots, subsample=subsample)
        assert data.val is not None
        train, val, test = (set(paths(items, folder)) for items in (data.train_x, data.val, data.test))
        assert Counter(item.label for item in data.val) == dict.fromkeys(range(data.num_classes), left)
        assert not val & train and not val & test and all(path.startswith("train/") for path in val)
        assert {path.split("/")[1] for path in val} == {path.split("/")[1] for path in train}
        assert has_own_validation(data) and data.validation == "held_out"
    assert load(shots=5).val is not None and not has_own_validation(load(shots=5))


def test_held_out_images_follow_the_seed_and_change_no_sample(load: Load, folder: Path) -> None:
    first, again, other = load(shots=1, seed=1), load(shots=1, seed=1), load(shots=1, seed=2)
    after = random.random()
    assert paths(first.val, folder) == paths(again.val, folder) != paths(other.val, folder)
    random.seed(2)
    expected = []
    for wnid in WNIDS:
        files = sorted(str(path.relative_to(folder / "images")) for path in (folder / "images/train" / wnid).iterdir())
        expected += random.sample(files, 1)
    assert paths(other.train_x, folder) == expected
    random.seed(2)  # the last load took a sample that was drawn now, and drew nothing after it
    for _ in WNIDS:
        random.sample(range(5), 1)
    assert random.random() == after


def test_shots_are_drawn_from_train_only(load: Load, folder: Path) -> None:
    random.seed(7)
    expected = []
    for wnid in WNIDS:
        files = sorted(str(path.relative_to(folder / "images")) for path in (folder / "images/train" / wnid).iterdir())
        expected += random.sample(files, 3)
    after = random.random()
    drawn = load(shots=3, seed=7)
    assert random.random() == after
    content = json.loads((folder / "split_fewshot" / "shot_3-seed_7.json").read_text())
    assert sorted(content) == ["format", "split", "train"]
    assert content["train"][0] == [f"imagenet/images/{expected[0]}", 0, "tench"]
    kept = load(shots=3, seed=7)
    assert paths(drawn.train_x, folder) == paths(kept.train_x, folder) == expected


def test_a_kept_sample_does_not_depend_on_the_validation_images(load: Load, folder: Path) -> None:
    load(shots=1)
    extra = folder / "images/val/n01440764/ILSVRC2012_val_00049999.JPEG"
    shutil.copy(next(extra.parent.iterdir()), extra)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(load(shots=1).test) == 25


def test_a_sample_pickled_by_coop_is_read(load: Load, folder: Path) -> None:
    last = {item.label: item for item in load().train_x}  # another sample than one that is drawn
    path = folder / "split_fewshot" / "shot_1-seed_1.pkl"
    path.write_bytes(pickle.dumps({"train": list(last.values())}, protocol=pickle.HIGHEST_PROTOCOL))
    assert paths(load(shots=1).train_x, folder) == paths(last.values(), folder)


def test_wnids_are_keys_where_names_are_shared(load: Load) -> None:
    assert load().class_keys == list(WNIDS)
    assert load(shots=1, subsample="base").class_keys == list(WNIDS[:6])
    assert load(shots=1, subsample="new").class_keys == list(WNIDS[6:])


def test_shared_names_are_noted_once_in_a_process(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    load(), load(), load(subsample="base")
    line = (
        "ImageNet: texts cannot tell classes of the same name apart: "
        "'missile' (labels 7 and 8), 'sunglasses' (labels 9 and 10)\n"
    )
    assert capsys.readouterr().out.count("same name") == 1
    class_names._print_once.cache_clear()
    load()
    assert line in capsys.readouterr().out


def test_no_shared_name_no_note(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    load(subsample="base")  # the shared names are all in the other half
    assert "same name" not in capsys.readouterr().out


def test_where_the_sentences_are(load: Load, folder: Path) -> None:
    assert load().prompt_path == folder / "imagenet_prompt.json"
    assert set(json.loads(load().prompt_path.read_text())) == set(CLASSNAMES.values())


def test_rows_are_listed_without_keeping_anything(load: Load, folder: Path) -> None:
    rows = ImageNet.read_rows(folder)
    assert not (folder / "preprocessed.json").exists() and not (folder / "split_fewshot").exists()
    data = load()
    assert list(rows) == ["train", "val", "test"] and rows["val"] == rows["test"]
    for part, items in (("train", data.train_x), ("test", data.test)):
        assert rows[part] == [(item.impath, item.label, item.classname) for item in items]


def test_other_code_reads_class_names_through_the_class(folder: Path) -> None:
    names = ImageNet.read_classnames(folder / "classnames.txt")
    assert list(names.items()) == list(CLASSNAMES.items())


def test_more_names_than_folders_are_fine(load: Load, folder: Path) -> None:
    for part in ("train", "val"):
        shutil.rmtree(folder / "images" / part / WNIDS[0])
    assert load().classnames == list(CLASSNAMES.values())[1:]
    assert load().class_keys == list(WNIDS[1:])


def test_a_missing_folder_is_named(make_cfg: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"needs the folder .*imagenet with images;.*datasets\.prepare ImageNet"
    ):
        ImageNet(make_cfg(tmp_path))


def test_missing_class_names(load: Load, folder: Path) -> None:
    (folder / "classnames.txt").unlink()
    for attempt in (load, lambda: ImageNet.read_rows(folder)):
        with pytest.raises(
            FileNotFoundError, match=r"no file of class names .*imagenet/classnames\.txt; python -m data"
        ):
            attempt()


def test_a_class_without_a_name(load: Load, folder: Path) -> None:
    write_classnames(folder, {wnid: name for wnid, name in CLASSNAMES.items() if wnid != "n02123045"})
    with pytest.raises(ValueError, match=r"classnames\.txt has no name for 'n02123045' of .*imagenet/images; remove"):
        load()
