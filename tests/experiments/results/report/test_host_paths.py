from pathlib import Path

import pytest

from experiments.results.report.host_paths import HostPaths, run_names


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/data/digits/x.png", "…/x.png"),
        ("no file /data/digits/x.png, run prepare", "no file …/x.png, run prepare"),
        ("cannot read '/media/my disk/x y.png'", "cannot read '…/x y.png'"),
        ("in /mnt/big disk/run7/log.txt: bad", "in …/log.txt: bad"),
        ("file:///srv/a/b.txt", "…/b.txt"),
        (r"C:\Users\me\x.png is missing", "…/x.png is missing"),
        ("(/srv/a/b)", "(…/b)"),
        ("/data", "…/data"),
        ("", ""),
        ("train/zero/1.png", "train/zero/1.png"),
        ("https://example.org/a/b.txt", "https://example.org/a/b.txt"),
        ("3/3 and/or 1/2", "3/3 and/or 1/2"),
        ("mean ± std / seeds", "mean ± std / seeds"),
        ("KeyError: 'loss'", "KeyError: 'loss'"),
    ],
)
def test_absolute_paths_are_cut_and_nothing_else(text: str, shown: str) -> None:
    assert HostPaths(["/mnt/big disk/run7"]).cut(text) == shown


def test_home_and_working_folder_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/jane doe")
    assert HostPaths().cut("see /home/jane doe/x") == "see …/x"


def test_known_folders_end_at_a_separator() -> None:
    assert HostPaths(["/data"]).cut("look at /data now, not at /database") == "look at … now, not at /database"


def test_runs_are_named_below_what_holds_them_all(tmp_path: Path) -> None:
    folders = [tmp_path / "out" / "digits" / "seed1", tmp_path / "out" / "shapes" / "AMU" / "seed2"]
    assert list(run_names(folders).values()) == ["digits/seed1", "shapes/AMU/seed2"]
    assert run_names(folders[:1]) == {folders[0]: "seed1"}
    assert run_names([]) == {}
