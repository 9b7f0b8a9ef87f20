"""What the readers of published weights have in common, and what both must refuse."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from amu_raft.methods.amu.released import read_adapter
from amu_raft.methods.raft.released import read_attention_pool
from amu_raft.methods.released_weights import check_numbers, without_nests
from tests.amu_raft.methods.weight_files import saved

RELEASED = {"net": {"attnpool.c_proj.bias": torch.ones(6).half()}, "optimizer": None, "epoch": 0, "lr_scheduler": None}
READERS: dict[str, Callable[[Path], Any]] = {
    "adapter": lambda path: read_adapter(path, 12),
    "checkpoint": lambda path: read_attention_pool(path, {"c_proj.bias": (6,)}),
}


class RunsCode:
    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> Any:
        return Path.touch, (self.trap,)


def test_nests_are_taken_off_however_deep() -> None:
    state = {"fc.weight": torch.ones(2, 2)}
    for nested in (state, {"net": state}, {"state_dict": {"model": state}, "epoch": 3}, {"net": {"net": state}}):
        assert without_nests(nested) is state
    assert without_nests({"state_dict": state["fc.weight"]}) is state["fc.weight"]
    assert without_nests([state]) == [state] and without_nests({"net": 5}) == {"net": 5}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "is a NoneType, not a dense tensor of floating numbers"),
        (torch.ones(2).long(), "is a torch.strided tensor of torch.int64, not a dense tensor"),
        (torch.tensor([1.0, torch.nan, torch.inf]), "has 2 of 3 values that are not finite in float32"),
        (torch.tensor([1e300], dtype=torch.float64), "has 1 of 1 values that are not finite in float32"),
    ],
)
def test_numbers_that_are_none(value: Any, message: str) -> None:
    check_numbers("w", torch.ones(2).half(), "a.pt")
    with pytest.raises(ValueError, match=f"^a.pt: w {message}"):
        check_numbers("w", value, "a.pt")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kind", ["adapter", "pooling", "whole"])
def test_code_is_refused_and_does_not_run(kind: str, zipped: bool, reader: str, tmp_path: Path) -> None:
    trap, tensor = RunsCode(tmp_path / "trap"), torch.ones(5, 12)
    content = {"adapter": {"fc.weight": tensor, "x": trap}, "pooling": {**RELEASED, "optimizer": trap}, "whole": trap}
    torch.save(content[kind], tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match="holds more than tensors, which is not loaded because it could run code"):
        READERS[reader](tmp_path / "w.pt")
    assert not (tmp_path / "trap").exists()


def damaged(tmp_path: Path) -> dict[str, bytes]:
    whole = saved(RELEASED, tmp_path).read_bytes()
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "no weights")
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:  # looks like TorchScript
        archive.writestr("a/constants.pkl", b"cos\nsystem\n(S'touch trap'\ntR.")
        archive.writestr("a/data.pkl", b"cos\nsystem\n(S'touch trap'\ntR.")
        archive.writestr("a/version", b"3\n")
    return {
        "truncated": whole[: len(whole) // 2],
        "cut at the end": whole[:-1],
        "another zip": (tmp_path / "other.zip").read_bytes(),
        "zip with code": (tmp_path / "code.zip").read_bytes(),
        "text": json.dumps({"fc.weight": 1}).encode(),
        "nothing": b"",
    }


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("case", ["truncated", "cut at the end", "another zip", "zip with code", "text", "nothing"])
def test_damaged_files_are_refused_in_one_line(
    case: str, reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pt").write_bytes(damaged(tmp_path)[case])
    with pytest.raises(ValueError, match=r"w\.pt (cannot be read: damaged|holds more than tensors)") as caught:
        READERS[reader](tmp_path / "w.pt")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "trap").exists()


@pytest.mark.parametrize("reader", READERS)
def test_a_missing_file(reader: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=rf"no {reader} at .*w\.pt"):
        READERS[reader](tmp_path / "w.pt")
