from pathlib import Path

import pytest

from amu_raft.cache import cache_folder


def test_the_cache_folder_is_chosen_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("AMU_RAFT_CACHE", "~/chosen")
    assert cache_folder() == tmp_path / "chosen"
    monkeypatch.delenv("AMU_RAFT_CACHE")
    assert cache_folder() == tmp_path / "xdg" / "amu-raft"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache" / "amu-raft"
