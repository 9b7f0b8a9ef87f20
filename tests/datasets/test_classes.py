import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from datasets.classes import class_keys, read_class_keys, write_classes

NAMED = SimpleNamespace(classnames=["missile", "cat", "missile"])
KEYED = SimpleNamespace(classnames=["missile", "cat", "missile"], class_keys=["n3", "n1", "n2"])


def test_keys_are_the_data_sets_own_or_the_names() -> None:
    assert class_keys(NAMED) == ["missile", "cat", "missile"]
    assert class_keys(KEYED) == ["n3", "n1", "n2"]


def test_each_class_needs_a_key() -> None:
    with pytest.raises(ValueError, match="class_keys of data set SimpleNamespace are 1, but it has 2 classes"):
        class_keys(SimpleNamespace(classnames=["a", "b"], class_keys=["a"]))


def test_written_and_read_back(tmp_path: Path) -> None:
    assert read_class_keys(tmp_path) is None
    write_classes(KEYED, tmp_path / "run")
    assert read_class_keys(tmp_path / "run") == ["n3", "n1", "n2"]
    assert json.loads((tmp_path / "run" / "classes.json").read_text())["classnames"] == NAMED.classnames
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["classes.json"]


@pytest.mark.parametrize("content", ["[]", "{}", '{"class_keys": []}', '{"class_keys": "ab"}', '{"class_keys": [1]}'])
def test_a_damaged_list(content: str, tmp_path: Path) -> None:
    (tmp_path / "classes.json").write_text(content)
    with pytest.raises(ValueError, match=r'class list .*classes\.json is damaged: it holds no list "class_keys"'):
        read_class_keys(tmp_path)
    (tmp_path / "classes.json").write_text(content[:-1])
    with pytest.raises(ValueError, match=r"class list .*classes\.json is damaged, no JSON"):
        read_class_keys(tmp_path)
