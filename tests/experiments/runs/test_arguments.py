import pytest

from experiments.runs.arguments import build_parser


def test_flags_default_to_none_so_that_they_override_only_when_given() -> None:
    found = vars(build_parser().parse_args([]))
    given = {name for name, value in found.items() if value not in (None, [], False, "")}
    assert not given
    assert found["seed"] is None and found["load_epoch"] is None and found["eval_only"] is False


def test_coops_flags_and_trailing_overrides() -> None:
    argv = "--root r --output-dir o --resume p --seed 0 --source-domains a b --target-domains c --transforms d e"
    argv += " --config-file f --dataset-config-file g --trainer AMU --backbone RN50 --head h --eval-only --model-dir m"
    found = build_parser().parse_args(
        [*argv.split(), "--load-epoch", "3", "--weights", "w", "--no-train", "A.B", "1", "C", "-2"]
    )
    assert (found.root, found.output_dir, found.resume, found.seed) == ("r", "o", "p", 0)
    assert (found.source_domains, found.target_domains, found.transforms) == (["a", "b"], ["c"], ["d", "e"])
    assert (found.config_file, found.dataset_config_file, found.trainer, found.backbone) == ("f", "g", "AMU", "RN50")
    assert found.weights == "w"
    assert (found.head, found.eval_only, found.model_dir, found.load_epoch, found.no_train) == ("h", True, "m", 3, True)
    assert found.opts == ["A.B", "1", "C", "-2"]


@pytest.mark.parametrize("argv", [["--seed", "one"], ["--train", "AMU"], ["--load-epoch", "1.5"], ["--nope"]])
def test_bad_flags_end_with_status_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args(argv)
    assert caught.value.code == 2 and "usage: train.py" in capsys.readouterr().err
