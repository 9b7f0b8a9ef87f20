import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import memory

REPOSITORY = Path(__file__).parents[2]


def test_memory_cannot_be_measured_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> str:
        raise FileNotFoundError(self)

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(RuntimeError, match="on Linux only"):
        memory.highest_memory()


def test_what_a_process_takes_is_seen() -> None:
    code = """from benchmarks.memory import highest_memory
before = highest_memory()
taken = bytearray(b"x") * (200 * 2**20)
print(before, highest_memory())"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    before, after = map(float, done.stdout.split())
    assert before < 100 and 190 < after - before < 230
