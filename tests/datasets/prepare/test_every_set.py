"""Every data set, from an empty root to a loader that loads it, with the shipped catalog's arrangement."""

from typing import Any

import pytest

from dassl.data.datasets import DATASET_REGISTRY
from datasets.doctor import inspect
from datasets.prepare.__main__ import main
from tests.datasets.miniatures.archives import PUBLISHERS, shipped
from tests.datasets.prepare.conftest import Publisher

ACCOUNT = {"ImageNet": ("images_train", "images_val", "val_labels"), "StanfordCars": ("images_train", "images_test")}


def test_every_set_of_the_catalog_has_a_miniature() -> None:
    assert list(PUBLISHERS) == list(shipped())


@pytest.mark.parametrize("name", PUBLISHERS)
def test_from_an_empty_root_to_the_loader(name: str, publisher: Publisher, make_cfg: Any, capsys: Any) -> None:
    publisher.publish(name)
    archives = publisher.give_archives(name, *ACCOUNT[name]) if name in ACCOUNT else None
    assert inspect(publisher.entry(name), publisher.root).state == "missing"
    assert main(publisher.command(name, archives=archives)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{name}: whole"
    finding = inspect(publisher.entry(name), publisher.root, deep=True)
    assert finding.state == "whole", finding.problems
    counts = publisher.entries[name]["counts"]
    loaded = DATASET_REGISTRY.get(name)(make_cfg(publisher.root))
    assert {part: len(getattr(loaded, "train_x" if part == "train" else part)) for part in counts} == counts
    assert not (publisher.root / ".prepare").exists()
    assert sorted(path.name for path in publisher.root.iterdir()) == sorted(
        {publisher.entry(name).directory, publisher.entry(name).prompt_file.split("/")[0]}
    )


@pytest.mark.parametrize("name", PUBLISHERS)
def test_a_whole_set_is_left_alone(name: str, publisher: Publisher, capsys: Any) -> None:
    publisher.publish(name)
    archives = publisher.give_archives(name, *ACCOUNT[name]) if name in ACCOUNT else None
    assert main(publisher.command(name, archives=archives)) == 0
    publisher.server.requests.clear()
    before = {path: path.stat().st_mtime_ns for path in publisher.root.rglob("*")}
    assert main(publisher.command(name)) == 0
    assert publisher.server.requests == []
    after = {path: path.stat().st_mtime_ns for path in publisher.root.rglob("*")}
    kept = {path for path in after if "preprocessed" not in path.name and path.name != "imagenet"}
    assert {path: after[path] for path in kept} == {path: before[path] for path in kept}
