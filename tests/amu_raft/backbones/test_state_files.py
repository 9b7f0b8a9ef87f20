import hashlib
import json
import random
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from amu_raft.backbones import state_files
from amu_raft.backbones.state_files import bundled_weights, load_state_file, save_state_file, sha256_of

STATE = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(3).half()}


class RunsCode:
    """A pickle that touches a file when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return Path.touch, (self.target,)


def script(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Sequential(nn.Linear(2, 3))), str(path))


def same(found: Any, expected: dict[str, torch.Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[key], expected[key]) for key in expected)


def test_sha256_of_small_and_large_files(tmp_path: Path) -> None:
    for content in (b"", b"abc", bytes(range(256)) * 10_000):
        (tmp_path / "file").write_bytes(content)
        assert sha256_of(str(tmp_path / "file")) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_of_both_formats(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "w.pt"
    torch.save(STATE, path, _use_new_zipfile_serialization=zipped)
    assert same(load_state_file(path), STATE)
    torch.save({"state_dict": STATE, "epoch": 3}, path, _use_new_zipfile_serialization=zipped)
    assert load_state_file(str(path))["epoch"] == 3


def test_safetensors(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "w.safetensors")
    assert same(load_state_file(tmp_path / "w.safetensors"), STATE)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_torchscript_is_reduced_to_its_state_dict(tmp_path: Path) -> None:
    script(tmp_path / "w.pt")
    assert {key: tuple(value.shape) for key, value in load_state_file(tmp_path / "w.pt", torchscript=True).items()} == {
        "0.weight": (3, 2),
        "0.bias": (3,),
    }
    with pytest.raises(ValueError, match=r"w\.pt holds more than tensors"):  # a program, where none is expected
        load_state_file(tmp_path / "w.pt")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.pt", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"no test weights at {path}"):
            load_state_file(path, what="test weights")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("nested", [True, False])
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path: Path, zipped: bool, nested: bool) -> None:
    trap, path = tmp_path / "trap", tmp_path / "w.pt"
    content = {**STATE, "deep": [RunsCode(trap)]} if nested else RunsCode(trap)
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        ValueError, match=f"weights {path} holds more than tensors, which is not loaded because it could"
    ):
        load_state_file(path)
    assert not trap.exists()


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors", "w.pth.tar"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\x80", b"PK\x03\x04", bytes(1000)])
def test_other_files_are_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"weights {tmp_path / name} "):
        load_state_file(tmp_path / name)


def damaged_copies(content: bytes, *, seed: int) -> list[bytes]:
    """The content cut short, and with single bits turned over, half of them near its end, where zip keeps its index."""
    source, copies = random.Random(seed), [content[: len(content) * part // 8] for part in range(1, 8)]
    for number in range(120):
        low = 0 if number % 2 else max(0, len(content) - 300)
        copy = bytearray(content)
        copy[source.randrange(low, len(content))] ^= 1 << source.randrange(8)
        copies.append(bytes(copy))
    return copies


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "kind",
    [
        "zip",
        "legacy",
        "torchscript",
        "safetensors",
    ],
)
def test_damage_is_a_value_error_that_names_the_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("w.safetensors" if kind == "safetensors" else "w.pt")
    if kind == "safetensors":
        save_file(STATE, path)
    elif kind == "torchscript":
        script(path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=kind == "zip")
    refused = 0
    for content in damaged_copies(path.read_bytes(), seed=1):
        path.write_bytes(content)
        try:
            load_state_file(path, torchscript=True)  # a flip in the numbers themselves goes unnoticed
        except ValueError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused >= 7


def test_what_is_saved_is_read_back_and_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "w.pt"
    save_state_file({"state_dict": STATE, "epoch": 3}, path)
    assert same(load_state_file(path)["state_dict"], STATE)
    before = path.read_bytes()
    with pytest.raises(AttributeError):
        save_state_file({**STATE, "f": lambda: None}, path)  # a local function cannot be saved
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


# ------------------------------------------------------------------------------------------------ bundled weights


@pytest.mark.parametrize("name", ["tiny_clip.pt", "tiny_aux.pt"])
def test_the_bundled_weights_are_what_the_manifest_says(name: str) -> None:
    entry = json.loads((state_files.BUNDLED / "manifest.json").read_text())[name]
    path = bundled_weights(name)
    assert path.name == name and path.stat().st_size == entry["bytes"]
    assert sha256_of(path) == entry["sha256"]


def test_bundled_weights_stay_small_enough_for_the_repository() -> None:
    assert sum(path.stat().st_size for path in state_files.BUNDLED.iterdir()) <= 6e6


def test_bundled_weights_that_are_unknown_missing_or_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_files, "BUNDLED", tmp_path)
    (tmp_path / "manifest.json").write_text(
        json.dumps({"a.pt": {"sha256": hashlib.sha256(b"a").hexdigest()}, "b.pt": {}})
    )
    with pytest.raises(ValueError, match=r"no bundled weights 'c.pt'; available: a.pt, b.pt"):
        bundled_weights("c.pt")
    with pytest.raises(FileNotFoundError, match=r"a\.pt are missing; restore them with git checkout"):
        bundled_weights("a.pt")
    (tmp_path / "a.pt").write_bytes(b"A")
    with pytest.raises(ValueError, match=f"sha256 {hashlib.sha256(b'A').hexdigest()}, expected .*git checkout"):
        bundled_weights("a.pt")
    (tmp_path / "a.pt").write_bytes(b"a")
    assert bundled_weights("a.pt") == tmp_path / "a.pt"
