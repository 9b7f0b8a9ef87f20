import subprocess
import sys
from pathlib import Path

import pytest

from amu_raft.images.doctor import SHOTS
from amu_raft.images.doctor.command import build_parser, doctor
from tests.conftest import write_images

REPOSITORY = Path(__file__).parents[4]


def test_the_status_says_whether_training_can_begin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound, alone = (
        write_images(tmp_path / "sound", {"bear": 4, "owl": 4}),
        write_images(tmp_path / "alone", {"bear": 4}),
    )
    assert doctor(build_parser().parse_args([str(sound)])) == 0
    assert doctor(build_parser().parse_args([str(alone), "--shots", "1"])) == 1
    out = capsys.readouterr().out
    assert f"classes with fewer than {SHOTS} training images" in out and "has only the class 'bear'" in out


def test_what_is_not_there_is_in_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(build_parser().parse_args([str(tmp_path / "gone")])) == 1
    assert f"{tmp_path / 'gone'} does not exist; give a folder of images" in capsys.readouterr().out


def test_shots_that_mean_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--shots 0 is below 1"):
        doctor(build_parser().parse_args([str(tmp_path), "--shots", "0"]))


def test_a_reader_that_has_seen_enough() -> None:
    code = "import sys, amu_raft.images.doctor.command as it; it.show('x' * 999_999); sys.exit(3)"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 3)


def test_help_loads_nothing_heavy() -> None:
    code = "import sys, amu_raft.images.doctor.command as it; it.build_parser(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0
