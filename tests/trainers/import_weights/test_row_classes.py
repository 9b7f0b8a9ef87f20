import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Import = Any
Train = Callable[..., Any]


def test_classes_from_imagenets_list(imported: Import, tmp_path: Path, adapter_file: Any) -> None:
    text = "n01440764 tench\nn01443537 great white shark\n\nn01484850 tench\n"
    (tmp_path / "classnames.txt").write_text(text)
    assert imported(adapter_file(), "AMU", "--classnames", str(tmp_path / "classnames.txt"))[0] == 0
    assert json.loads((imported.folder / "classes.json").read_text()) == {
        "class_keys": ["n01440764", "n01443537", "n01484850"],
        "classnames": ["tench", "great white shark", "tench"],
    }


def test_classes_from_plain_names_and_their_evaluation(
    imported: Import, train_main: Train, tmp_path: Path, adapter_file: Any
) -> None:
    (tmp_path / "names.txt").write_text("sea lion\r\nwalrus\r\nbear\r\nred_fox\r\n")
    assert imported(adapter_file(4), "AMU", "--classnames", str(tmp_path / "names.txt"))[0] == 0
    names = ["sea lion", "walrus", "bear", "red_fox"]
    assert json.loads((imported.folder / "classes.json").read_text()) == {"class_keys": names, "classnames": names}
    run = train_main("AMU", "--eval-only", "--model-dir", str(imported.folder))
    assert run.status == 0 and "adapter knows 3 of 3 classes" in run.out


def test_a_data_set_that_is_not_here(imported: Import, tmp_path: Path, adapter_file: Any) -> None:
    (imported.folder).mkdir()
    (imported.folder / "classes.json").write_text("{}")  # of an import that was stopped before its model was written
    options = ("--dataset-config-file", "oxford_pets", "--root", str(tmp_path / "absent"))
    status, out, _ = imported(adapter_file(37), "AMU", *options)
    assert status == 0
    assert "data set OxfordPets cannot be loaded (" in out and "takes the rows in its own class order" in out
    assert not (imported.folder / "classes.json").exists()
    assert (imported.folder / "adapter" / "model.pth.tar-50").is_file()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; one class per line"),
        (b"\n \n", "is empty"),
        (b"bear\nfox\nbear\n", "has 'bear' twice"),
        (b"\xff\xfe\x00\xd8", "is no text in UTF-8"),
        (b"bear\nfox\n", "the file has 3 rows, but"),
        (b"n01440764 tench\nn01440764 shark\nn01443537 x\n", "n01440764 has a name already"),
    ],
)
def test_damaged_files_of_class_names(
    content: bytes, message: str, imported: Import, tmp_path: Path, adapter_file: Any
) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    assert message in imported.error(adapter_file(), "AMU", "--classnames", str(tmp_path / "names.txt"))
