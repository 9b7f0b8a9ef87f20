from pathlib import Path
from typing import Any

import pytest
import torch

from scripts import validate

COMMAND = ["--dataset-config-file", "image_folder", "DATASET.NUM_SHOTS", "1", "OPTIM.MAX_EPOCH", "2"]
COMMAND += ["OPTIM.WARMUP_EPOCH", "1", "TRAIN.VIEWS", "1"]


def accuracy(trainer: str, root: Path, folder: Path, **options: Any) -> float:
    command = ["--trainer", trainer, "--root", str(root), *COMMAND]
    return validate.validation_accuracy(command, str(folder), **options)


def test_a_grid_is_every_combination() -> None:
    assert validate.parse_grid(["A=1;2", "B=x"]) == [(("A", "1"), ("B", "x")), (("A", "2"), ("B", "x"))]
    assert validate.parse_grid([]) == [()]
    for axis in ("A", "A=", "A=1;"):
        with pytest.raises(ValueError, match=r"is not of the form KEY=VALUE;VALUE"):
            validate.parse_grid([axis])


def test_images_that_a_run_may_choose_on_are_left_out(
    image_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[tuple[int, set[str]]] = []
    from trainers.raft import RAFT

    original = RAFT.collect_branches

    def noted(self: Any, split: str, loader: Any) -> Any:
        if split == "whole validation split":
            chosen_on = {item.impath for item in self.dm.dataset.val}
            images = {item.impath for item in loader.dataset.data_source}
            scored.append((len(images), images & chosen_on))
        return original(self, split, loader)

    monkeypatch.setattr(RAFT, "collect_branches", noted)
    for unused in (False, True):
        accuracy("RAFT", image_root, tmp_path / str(unused), unused=unused)
    (all_images, both), (fewer, none) = scored
    assert (all_images, len(both)) == (6, 3)  # two of each class, one of which the run chooses on
    assert (fewer, none) == (3, set())


def test_nothing_unused(image_root: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    command = ["--trainer", "ZeroshotCLIP", "--root", str(image_root), *COMMAND[:2], "DATASET.NUM_SHOTS", "4"]
    with pytest.raises(ValueError, match="the run uses all 6 validation images, so --unused leaves none to score on"):
        validate.validation_accuracy(command, str(tmp_path), unused=True)


def test_the_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked = []

    def scripted(command: list[str], folder: str, *, unused: bool) -> float:
        asked.append(unused)
        return 50.0 + int(command[command.index("--seed") + 1]) + 10 * (command[-1] == "y")

    monkeypatch.setattr(validate, "validation_accuracy", scripted)
    argv = ["--trainer", "AMU", "--shots", "1", "--seeds", "1", "3", "--grid", "KEY=x;y"]
    assert validate.main([*argv, "--unused"]) == 0 and validate.main(argv) == 0
    assert asked == [True] * 4 + [False] * 4
    out = capsys.readouterr().out
    assert "AMU on digits, validation images that no run chose on, seeds [1, 3], accuracy ± std" in out
    assert "AMU on digits, whole validation split, seeds [1, 3], accuracy ± std" in out
    assert out.count("| y     | 62.0 ± 1.4 | 62.00  |") == 2
    assert validate.main([*argv[:-1], "KEY"]) == 1
    assert capsys.readouterr().err.endswith("error: grid axis 'KEY' is not of the form KEY=VALUE;VALUE\n")
