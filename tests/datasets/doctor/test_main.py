import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from datasets.doctor.__main__ import main
from tests.conftest import write_images


@pytest.fixture(scope="session")
def catalog_file(tmp_path_factory: pytest.TempPathFactory, small_catalog) -> Path:
    """The miniatures' catalog, without downloads."""
    entries = [asdict(entry) | {"parts": []} for entry in small_catalog.values()]
    path = tmp_path_factory.mktemp("catalog") / "catalog.yaml"
    path.write_text(yaml.safe_dump({"datasets": [{**e, "tree": [], "notes": [], "dead_links": []} for e in entries]}))
    return path


def test_all_fifteen_whole(all_miniatures: Path, catalog_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(all_miniatures), "--catalog", str(catalog_file)]) == 0
    out, _ = capsys.readouterr()
    rows = [line for line in out.splitlines() if " whole " in line]
    assert len(rows) == 15
    cells = [cell.strip() for cell in rows[0].strip("|").split("|")]
    assert cells == ["ImageNet", "whole", "84/84", "60/60", "24/24", "24/24", "12/12", "12/12"]
    assert "15 of 15 data sets are whole." in out


def test_one_missing_set_changes_the_status(
    all_miniatures: Path, catalog_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    for folder in all_miniatures.iterdir():
        if folder.name != "dtd":
            (root / folder.name).symlink_to(folder)
    options = ["--root", str(root), "--catalog", str(catalog_file)]
    assert main(options) == 1
    out, _ = capsys.readouterr()
    assert f"DescribableTextures: the folder {root / 'dtd'} is missing; next: python -m datasets.prepare" in out
    assert "14 of 15 data sets are whole." in out
    assert main(["Caltech101", "eurosat", *options]) == 0
    assert main(["Caltech101", "dtd", *options]) == 1


def test_deep_finds_a_truncated_image(
    all_miniatures: Path, catalog_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(all_miniatures / "eurosat", tmp_path / "eurosat")
    image = folder / "2750" / "River" / "River_1.jpg"
    image.write_bytes(image.read_bytes()[:-50])
    options = ["eurosat", "--root", str(tmp_path), "--catalog", str(catalog_file)]
    assert main(options) == 0
    assert main([*options, "--deep"]) == 1
    assert "1 of 90 images cannot be decoded: 'eurosat/2750/River/River_1.jpg'" in capsys.readouterr().out


def test_bad_arguments(all_miniatures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = ["--root", str(all_miniatures)]
    (tmp_path / "file").write_text("datasets: 3")
    for argv, said in (
        (["Caltech102", *root], "unknown data set 'Caltech102'; nearest: Caltech101"),
        (["--root", str(tmp_path / "gone")], f"--root {tmp_path / 'gone'} does not exist"),
        (["--root", str(tmp_path / "file")], "is a file, no folder"),
        ([*root, "--catalog", str(tmp_path / "gone")], f"no catalog {tmp_path / 'gone'}"),
        ([*root, "--catalog", str(tmp_path / "file")], "needs a list 'datasets'"),
    ):
        assert main(argv) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("error: ") and said in err and err.count("\n") == 1


@pytest.mark.parametrize("argv", [[], ["Caltech101"], ["--root"], ["--root", ".", "--what"]])
def test_arguments_that_are_none(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2


def test_interruption(all_miniatures: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def interrupt(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("datasets.doctor.__main__.inspect", interrupt)
    assert main(["dtd", "--root", str(all_miniatures)]) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_the_command_itself(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "datasets.doctor", "EuroSAT", "--root", str(tmp_path)]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "| EuroSAT    | missing | 0/27000  | 0/13500 | 0/5400 | 0/8100 | 0/10      | absent    |" in done.stdout


def test_names_of_benchmarks_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "dtd", {"bear": 10, "red_fox": 10})
    with pytest.raises(SystemExit):
        main(["dtd"])
    assert "benchmarks need --root" in capsys.readouterr().err
    assert main(["./dtd", "--shots", "2"]) == main(["dtd/", "--shots", "2"]) == 0
    Path("dtd").rename("mine")
    assert main(["mine", "--shots", "2"]) == 0
    assert capsys.readouterr().out.endswith("Ready to train on.\n")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["./a", "./b"], "'./a' is a path of own images, which is examined alone"),
        (["./a", "dtd"], "'./a' is a path of own images, which is examined alone"),
        (["./a", "--root", "."], "--root goes with benchmarks; a is a path of own images"),
        (["./a", "--shots", "0"], "--shots 0 is below 1"),
    ],
)
def test_arguments_that_contradict(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert capsys.readouterr().err.startswith(f"error: {said}")
