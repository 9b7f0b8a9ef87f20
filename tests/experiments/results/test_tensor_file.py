import json
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.results.tensor_file import read_tensor_file, write_tensor_file

ARRAYS = {"a": np.arange(6, dtype=np.int32).reshape(2, 3), "b": np.array([0.5], np.float32)}


def write(path: Path, **about: object) -> Path:
    write_tensor_file(ARRAYS, {"schema": 1, **about}, path)
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors", names=["é", "b"], root="/data")
    arrays, about = read_tensor_file(path, what="thing", schema=1)
    assert about == {"schema": 1, "names": ["é", "b"], "root": "/data"}
    assert all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS) and arrays.keys() == ARRAYS.keys()
    assert [item.name for item in tmp_path.iterdir()] == ["x.safetensors"]


def test_rows_that_do_not_lie_next_to_each_other(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    write_tensor_file({"a": values.T[::2]}, {"schema": 1}, tmp_path / "x")
    assert np.array_equal(read_tensor_file(tmp_path / "x", what="thing", schema=1)[0]["a"], values.T[::2])


def test_a_failed_write_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "x.safetensors", text="earlier")
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        write(path, text="later")
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def damaged_files() -> dict[str, bytes]:
    header = json.dumps({"__metadata__": {"schema": "no json"}}).encode()
    return {
        "empty": b"",
        "short": b"\x01\x02",
        "text": b"no tensors at all, only words that go on and on",
        "header": struct.pack("<Q", len(header)) + header,
    }


@pytest.mark.parametrize("kind", damaged_files())
def test_damage_is_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(damaged_files()[kind])
    with pytest.raises(ValueError, match=re.escape(f"thing {path} is damaged: no arrays can be read")) as caught:
        read_tensor_file(path, what="thing", schema=1)
    assert "\n" not in str(caught.value)


def test_a_file_cut_short(tmp_path: Path) -> None:
    path = write(tmp_path / "x.safetensors")
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match="is damaged"):
            read_tensor_file(path, what="thing", schema=1)


def test_another_schema_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="its schema is 1, not 2"):
        read_tensor_file(write(tmp_path / "x"), what="thing", schema=2)
    with pytest.raises(FileNotFoundError, match=r"no thing .*y"):
        read_tensor_file(tmp_path / "y", what="thing", schema=1)


def test_reading_needs_no_torch() -> None:
    script = "import experiments.results.attention, experiments.results.predictions, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
