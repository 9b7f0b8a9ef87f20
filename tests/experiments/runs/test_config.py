import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yacs.config import CfgNode

from dassl.engine import TRAINER_REGISTRY
from experiments.runs import config
from experiments.runs.config import extended_defaults
from experiments.runs.tree import as_dict, leaves, merge_file, set_key

Plan = Callable[..., Any]


def written(folder: Path, text: str | bytes, name: str = "mine.yaml") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def tree() -> CfgNode:
    node = CfgNode()
    node.NAME, node.FLAG, node.COUNT, node.RATE, node.SIZE, node.LIST = "x", False, 3, 0.5, (2, 2), [1.0]
    node.DEEP = CfgNode({"NAME": "y", "COUNT": 4})
    return node


# ------------------------------------------------------------------------------------------------------------ set_key


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("COUNT", "7", 7),
        ("COUNT", "-7", -7),
        ("COUNT", 7, 7),
        ("RATE", "1e-4", 1e-4),
        ("RATE", "1", 1.0),
        ("RATE", 2, 2.0),
        ("FLAG", "True", True),
        ("FLAG", True, True),
        ("SIZE", "(64, 96)", (64, 96)),
        ("SIZE", [64, 96], (64, 96)),
        ("LIST", "[1, 2]", [1, 2]),
        ("LIST", "(1, 2)", [1, 2]),
        ("NAME", "plain text", "plain text"),
        ("NAME", "8", "8"),
        ("NAME", 8, "8"),
        ("NAME", "1e-3", "1e-3"),
        ("NAME", "None", "None"),
        ("NAME", "True", "True"),
        ("NAME", "'quoted'", "quoted"),
        ("NAME", "a'b\"c\\d", "a'b\"c\\d"),
        ("NAME", "/a b/ü.json", "/a b/ü.json"),
        ("NAME", "[1, 2]", "[1, 2]"),
        ("NAME", "", ""),
        ("DEEP.NAME", "z", "z"),
    ],
)
def test_values_get_the_type_of_the_default(key: str, value: Any, expected: Any) -> None:
    cfg = tree()
    set_key(cfg, key, value, source="test")
    found: Any = cfg
    for part in key.split("."):
        found = found[part]
    assert found == expected and type(found) is type(expected)


@given(text=st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=20))
def test_any_text_that_is_no_literal_arrives_as_it_is(text: str) -> None:
    cfg = tree()
    set_key(cfg, "NAME", text, source="test")
    quoted = len(text) > 1 and text.strip()[-1:] in ("'", '"')
    found = cfg.NAME
    assert found == text or quoted


@pytest.mark.parametrize(
    ("key", "value", "kind"),
    [
        ("COUNT", "three", "int"),
        ("COUNT", "3.5", "int"),
        ("COUNT", "", "int"),
        ("RATE", "fast", "float"),
        ("RATE", "True", "float"),
        ("RATE", "nan", "float"),
        ("FLAG", "1", "bool"),
        ("FLAG", "true", "bool"),
        ("LIST", "1", "list"),
    ],
)
def test_values_of_another_type_are_refused(key: str, value: str, kind: str) -> None:
    cfg = tree()
    message = f"configuration key {key} in here takes a value of type {kind}, got {value!r}"
    with pytest.raises(ValueError, match=re.escape(message)):
        set_key(cfg, key, value, source="here")
    assert as_dict(cfg) == as_dict(tree())


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("COUMT", "COUNT"),
        ("DEEP.NAM", "DEEP.NAME"),
        ("DEEP", "DEEP.NAME"),
        ("name", "NAME"),
        ("DEEP.NAME.X", "DEEP.NAME"),
    ],
)
def test_unknown_keys_name_the_nearest(key: str, nearest: str) -> None:
    with pytest.raises(
        ValueError, match=f"unknown configuration key '{key}' in here; the nearest known key is '"
    ) as caught:
        set_key(tree(), key, "1", source="here")
    if key != "name":
        assert str(caught.value).endswith(f"'{nearest}'")


def test_a_flag_among_the_overrides(plan: Plan) -> None:
    with pytest.raises(ValueError, match="flag --seed comes after KEY VALUE overrides; flags must come before them"):
        plan("--trainer", "AMU", "OPTIM.LR", "0.1", "--seed", "3")


# --------------------------------------------------------------------------------------------------------- merge_file


def test_a_file_is_merged_key_by_key(tmp_path: Path) -> None:
    cfg = tree()
    text = "COUNT: 9\nRATE: 1e-5\nSIZE: (3, 4)\nLIST: [2, 3]\nNAME: 5\nFLAG: yes\nDEEP:\n  COUNT: 8\n  NAME:\n"
    merge_file(cfg, Path(written(tmp_path, text)))
    expected = {"NAME": "5", "FLAG": True, "COUNT": 9, "RATE": 1e-5, "SIZE": (3, 4), "LIST": [2, 3]}
    assert as_dict(cfg) == {**expected, "DEEP": {"NAME": "y", "COUNT": 8}}


@pytest.mark.parametrize("text", ["", "# nothing\n", "DEEP:\n", "{}"])
def test_a_file_without_values_changes_nothing(text: str, tmp_path: Path) -> None:
    cfg = tree()
    merge_file(cfg, Path(written(tmp_path, text)))
    assert as_dict(cfg) == as_dict(tree())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A: [1", "is not YAML: "),
        ("a\tb: \t- x\n  - : :\n", "is not YAML: "),
        (b"NAME: \xff\xfe", "is not YAML: "),
        ("!!python/object/apply:os.system ['true']", "is not YAML: "),
        ("- 1\n- 2\n", "must hold a tree of configuration keys"),
        ("just words", "must hold a tree of configuration keys"),
        ("DEEP:\n  NAMES: 3\n", "unknown configuration key 'DEEP.NAMES' in .*nearest known key is 'DEEP.NAME'"),
        ("1: 2\n", "unknown configuration key '1'"),
        ("COUNT: {X: 1}\n", "unknown configuration key 'COUNT.X'"),
        ("COUNT: many\n", "configuration key COUNT in .* takes a value of type int, got 'many'"),
    ],
)
def test_files_with_faults_are_named(text: str | bytes, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ValueError, match=message) as caught:
        merge_file(tree(), Path(path))
    assert path in str(caught.value) and "\n" not in str(caught.value)


def test_every_configuration_file_of_the_project_merges() -> None:
    files = [path for kind in ("datasets", "trainers") for path in sorted((config.CONFIGS / kind).rglob("*.yaml"))]
    assert len(files) >= 30
    for path in files:
        cfg = extended_defaults()
        merge_file(cfg, path)
        assert json.dumps(as_dict(cfg))


# ---------------------------------------------------------------------------------------------------------- precedence


def test_the_embedded_default(plan: Plan) -> None:
    made = plan("--trainer", "AMU")
    cfg = made.cfg
    assert (made.dataset, made.config, made.eval_only, made.model_dir, made.load_epoch) == (
        "digits",
        "tiny",
        False,
        "",
        None,
    )
    assert (cfg.DATASET.NAME, cfg.MODEL.BACKBONE.NAME, cfg.DATASET.NUM_SHOTS, cfg.SEED) == ("Digits", "tiny", 16, 1)
    assert cfg.OUTPUT_DIR == "output/digits/AMU/tiny_16shots/seed1"
    assert set(cfg.TRAINER) == {"NAME", "AMU"} and cfg.is_frozen()


def test_file_then_flag_then_override(plan: Plan, tmp_path: Path) -> None:
    data = written(tmp_path, "DATASET:\n  NAME: Digits\nSEED: 2\nOPTIM:\n  LR: 0.2\n", "mydata.yaml")
    trainer = written(tmp_path, "SEED: 3\nOPTIM:\n  LR: 0.3\n  MAX_EPOCH: 30\n", "mine.yaml")
    files = ["--trainer", "AMU", "--dataset-config-file", data, "--config-file", trainer]
    from_files = plan(*files)
    assert (from_files.cfg.SEED, from_files.cfg.OPTIM.LR) == (3, 0.3)  # the trainer's file comes second
    assert (from_files.dataset, from_files.config) == ("mydata", "mine")
    assert from_files.cfg.OUTPUT_DIR == "output/mydata/AMU/mine_16shots/seed3"
    flagged = plan(*files, "--seed", "4").cfg
    assert (flagged.SEED, flagged.OPTIM.MAX_EPOCH) == (4, 30)
    assert plan(*files, "--seed", "4", "SEED", "5").cfg.SEED == 5
    assert plan(*files, "SEED", "6", "SEED", "7").cfg.SEED == 7


def test_every_flag_reaches_its_key(plan: Plan) -> None:
    argv = "--trainer AMU --root r --output-dir o --resume p --seed 0 --backbone RN50 --head h --source-domains a b"
    argv += " --target-domains c --transforms normalize random_flip --weights w"
    cfg = plan(*argv.split()).cfg
    assert (cfg.DATASET.ROOT, cfg.OUTPUT_DIR, cfg.RESUME, cfg.SEED) == ("r", "o", "p", 0)
    assert (cfg.MODEL.BACKBONE.NAME, cfg.MODEL.HEAD.NAME, cfg.MODEL.WEIGHTS) == ("RN50", "h", "w")
    assert tuple(cfg.DATASET.SOURCE_DOMAINS) == ("a", "b") and tuple(cfg.DATASET.TARGET_DOMAINS) == ("c",)
    assert tuple(cfg.INPUT.TRANSFORMS) == ("normalize", "random_flip")


def test_seed_zero_is_a_seed_and_negative_is_none(plan: Plan) -> None:
    assert plan("--trainer", "AMU", "--seed", "0").cfg.OUTPUT_DIR.endswith("/seed0")
    assert plan("--trainer", "AMU", "SEED", "-1").cfg.SEED == -1


@pytest.mark.parametrize(
    ("argv", "folder"),
    [
        (["DATASET.NUM_SHOTS", "4"], "output/digits/AMU/tiny_4shots/seed1"),
        (["DATASET.NUM_SHOTS", "-1"], "output/digits/AMU/tiny_0shots/seed1"),
        (["DATASET.SUBSAMPLE_CLASSES", "new"], "output/digits/AMU/tiny_16shots_new/seed1"),
        (["--eval-only"], "output_eval/digits/AMU/tiny_16shots/seed1"),
        (["--output-dir", "x"], "x"),
        (["--output-dir", "x", "OUTPUT_DIR", "y"], "y"),
    ],
)
def test_output_folders(argv: list[str], folder: str, plan: Plan) -> None:
    found = plan("--trainer", "AMU", *argv).cfg.OUTPUT_DIR
    assert found == folder


def test_the_trainer_may_come_as_an_override(plan: Plan) -> None:
    assert plan("TRAINER.NAME", "RAFT").cfg.TRAINER.NAME == "RAFT"
    assert plan("--trainer", "RAFT", "--", "SEED", "9").cfg.SEED == 9


def test_the_backbone_chooses_the_trainer_file(plan: Plan) -> None:
    assert plan("--trainer", "AMU", "--backbone", "RN50").config == "rn50"
    assert plan("--trainer", "AMU", "MODEL.BACKBONE.NAME", "RN50").config == "rn50"
    assert plan("--trainer", "AMU", "--backbone", "tiny").config == "tiny"
    assert plan("--trainer", "AMU", "--backbone", "RN50", "--config-file", "tiny").config == "tiny"
    for name, config_name in (("ViT-B/16", "vit_b16"), ("ViT-L/14@336px", "vit_l14_336px"), ("RN50x4", "rn50x4")):
        made = plan("--trainer", "AMU", "--backbone", name)
        assert (made.config, made.cfg.MODEL.BACKBONE.NAME) == (config_name, name)
    for trainer, name in (("AMU", "/some/where.pt"), ("RAFT", "ViT-B/16")):  # no file of its own: the full-size one
        made = plan("--trainer", trainer, "--backbone", name)
        assert (made.config, made.cfg.MODEL.BACKBONE.NAME) == ("rn50", name)


def test_files_by_bare_name(plan: Plan) -> None:
    made = plan("--trainer", "RAFT", "--dataset-config-file", "shapes", "--config-file", "rn50")
    assert (made.dataset, made.config, made.cfg.DATASET.NAME) == ("shapes", "rn50", "Shapes")


# ------------------------------------------------------------------------------------------------------------- overlays


@pytest.fixture
def with_overlays(tmp_path: Path) -> list[str]:
    """Arguments for a trainer YAML that has overlays for digits beside it."""
    (tmp_path / "datasets").mkdir()
    written(tmp_path, "OPTIM:\n  LR: 0.1\n  MAX_EPOCH: 10\n  WEIGHT_DECAY: 0.1\n")
    written(tmp_path / "datasets", "OPTIM:\n  LR: 0.2\n  MAX_EPOCH: 20\n", "digits.yaml")
    written(tmp_path / "datasets", "OPTIM:\n  LR: 0.3\n", "digits_1shots.yaml")
    return ["--trainer", "AMU", "--config-file", str(tmp_path / "mine.yaml")]


@pytest.mark.parametrize(
    ("argv", "names", "expected"),
    [
        ([], ["digits"], (0.2, 20, 0.1)),
        (["DATASET.NUM_SHOTS", "1"], ["digits", "digits_1shots"], (0.3, 20, 0.1)),
        (["DATASET.NUM_SHOTS", "1", "OPTIM.LR", "0.4"], ["digits", "digits_1shots"], (0.4, 20, 0.1)),
        (["DATASET.NUM_SHOTS", "11"], ["digits"], (0.2, 20, 0.1)),
        (["--dataset-config-file", "shapes", "DATASET.NUM_SHOTS", "1"], [], (0.1, 10, 0.1)),
    ],
)
def test_overlays_come_between_the_trainer_file_and_the_command_line(
    argv: list[str], names: list[str], expected: tuple[float, int, float], with_overlays: list[str], plan: Plan
) -> None:
    flags, pairs = (argv[:2], argv[2:]) if argv and argv[0].startswith("--") else ([], argv)
    made = plan(*with_overlays, *flags, *pairs)
    assert [path.stem for path in made.overlays] == names
    assert expected == (made.cfg.OPTIM.LR, made.cfg.OPTIM.MAX_EPOCH, made.cfg.OPTIM.WEIGHT_DECAY)
    assert made.config == "mine"


def test_a_run_says_so_in_its_log(with_overlays: list[str], tmp_path: Path, plan: Plan) -> None:
    from experiments.runs.session import execute

    small = ["MODEL.BACKBONE.NAME", "tiny", "INPUT.SIZE", "(64, 64)", "TRAINER.AMU.AUX_ENCODER", "tiny"]
    small += ["OPTIM.LR_SCHEDULER", "cosine", "DATALOADER.NUM_WORKERS", "0"]
    made = plan(*with_overlays, "--no-train", "--output-dir", str(tmp_path / "run"), *small)
    assert execute(made) == {}
    overlay = tmp_path / "datasets" / "digits.yaml"
    assert f"Merged {overlay}: what AMU changes on digits\n" in (tmp_path / "run" / "log.txt").read_text()


def test_the_settings_of_a_model_come_after_the_overlays(with_overlays: list[str], tmp_path: Path, plan: Plan) -> None:
    written(tmp_path / "datasets", "TRAINER:\n  AMU:\n    FUSION_ALPHA: 2.0\n", "digits.yaml")
    assert plan(*with_overlays).cfg.TRAINER.AMU.FUSION_ALPHA == 2.0
    model = tmp_path / "model"
    model.mkdir()
    written(model, '{"TRAINER.NAME": "AMU", "TRAINER.AMU.FUSION_ALPHA": 3.0}', "settings.json")
    evaluated = plan(*with_overlays, "--eval-only", "--model-dir", str(model)).cfg
    assert evaluated.TRAINER.AMU.FUSION_ALPHA == 3.0


def test_an_overlay_with_a_fault_is_named(with_overlays: list[str], tmp_path: Path, plan: Plan) -> None:
    path = written(tmp_path / "datasets", "OPTIM:\n  LT: 0.2\n", "digits.yaml")
    with pytest.raises(ValueError, match=re.escape(f"unknown configuration key 'OPTIM.LT' in {path}")):
        plan(*with_overlays)


def test_a_number_of_shots_has_an_overlay_of_its_own(with_overlays: list[str], tmp_path: Path, plan: Plan) -> None:
    (tmp_path / "shots").mkdir()
    written(tmp_path / "shots", "OPTIM:\n  LR: 0.5\n  WEIGHT_DECAY: 0.5\n", "mine_1shots.yaml")
    written(tmp_path / "shots", "OPTIM:\n  WEIGHT_DECAY: 0.7\n", "tiny_1shots.yaml")
    one = plan(*with_overlays, "DATASET.NUM_SHOTS", "1")
    assert [path.stem for path in one.overlays] == ["mine_1shots", "digits", "digits_1shots"]
    assert (one.cfg.OPTIM.LR, one.cfg.OPTIM.WEIGHT_DECAY) == (0.3, 0.5)  # the data set's come last
    assert plan(*with_overlays, "DATASET.NUM_SHOTS", "2").cfg.OPTIM.WEIGHT_DECAY == 0.1
    (tmp_path / "mine.yaml").rename(tmp_path / "tiny.yaml")
    tiny = plan("--trainer", "AMU", "--config-file", str(tmp_path / "tiny.yaml"), "DATASET.NUM_SHOTS", "1")
    assert [path.stem for path in tiny.overlays] == ["tiny_1shots"] and tiny.cfg.OPTIM.WEIGHT_DECAY == 0.7


def test_the_tiny_configuration_has_no_overlays_for_data_sets(
    with_overlays: list[str], tmp_path: Path, plan: Plan
) -> None:
    (tmp_path / "mine.yaml").rename(tmp_path / "tiny.yaml")
    made = plan("--trainer", "AMU", "--config-file", str(tmp_path / "tiny.yaml"))
    assert (made.overlays, made.cfg.OPTIM.LR) == ((), 0.1)


@pytest.mark.parametrize(
    ("trainer", "dataset", "shots", "expected"),
    [
        ("RAFT", "imagenet", 16, {"TRAINER.RAFT.LAMBDA2": 1.0, "DATALOADER.TRAIN_X.BATCH_SIZE": 128}),
        ("RAFT", "imagenet", 1, {"TRAINER.RAFT.LAMBDA2": 1.0, "DATALOADER.TRAIN_X.BATCH_SIZE": 64}),
        ("RAFT", "sun397", 1, {"TRAINER.RAFT.LAMBDA2": 0.5, "DATALOADER.TRAIN_X.BATCH_SIZE": 128}),
        ("RAFT", "dtd", 16, {"TRAINER.RAFT.LAMBDA2": 0.5, "DATALOADER.TRAIN_X.BATCH_SIZE": 64}),
        ("AMU", "imagenet", 16, {"TRAINER.AMU.FUSION_ALPHA": 0.5, "TRAINER.AMU.PROMPTS": "imagenet7"}),
        ("AMU", "imagenet", 1, {"TRAINER.AMU.FUSION_ALPHA": 2.0, "TRAINER.AMU.LOSS_LAMBDA": 0.35}),
        ("AMU", "eurosat", 1, {"TRAINER.AMU.FUSION_ALPHA": 0.5, "TRAINER.AMU.PROMPTS": "templates"}),
    ],
)
def test_what_the_papers_change_on_a_data_set(
    trainer: str, dataset: str, shots: int, expected: dict[str, Any], plan: Plan
) -> None:
    files = ["--dataset-config-file", dataset, "--config-file", "rn101"]
    found = dict(leaves(as_dict(plan("--trainer", trainer, *files, "DATASET.NUM_SHOTS", str(shots)).cfg)))
    assert {key: found[key] for key in expected} == expected


# ------------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "no trainer given; --trainer takes one of AMU, "),
        (["--trainer", "AMUU"], "unknown trainer 'AMUU' (did you mean 'AMU'?); --trainer takes one of AMU, "),
        (["--trainer", "zzz"], "unknown trainer 'zzz'; --trainer takes one of AMU, "),
        (["--trainer", "AMU", "OPTIM.LT", "1"], "the nearest known key is 'OPTIM.LR'"),
        (["--trainer", "AMU", "TRAINER.AMU.INITS", "1"], "nearest known key is 'TRAINER.AMU.INIT'"),
        (["--trainer", "AMU", "OPTIM.LR"], "overrides come in pairs KEY VALUE; the last one, 'OPTIM.LR', has no value"),
    ],
)
def test_bad_command_lines(argv: list[str], message: str, plan: Plan) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        plan(*argv)


@pytest.mark.parametrize(
    ("flag", "path", "message"),
    [
        ("--dataset-config-file", "mnist", "no data set configuration at mnist; configs/datasets has: caltech101, dig"),
        ("--dataset-config-file", "digits.yml", "no data set configuration at digits.yml; configs/datasets has: "),
        ("--config-file", "/no/file.yaml", "no AMU trainer configuration at /no/file.yaml; configs/trainers/AMU has: "),
    ],
)
def test_files_that_are_not_there(flag: str, path: str, message: str, plan: Plan) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape(message)):
        plan("--trainer", "AMU", flag, path)


def test_the_plan_is_frozen(plan: Plan) -> None:
    made = plan("--trainer", "AMU")
    with pytest.raises(AttributeError):
        made.cfg.SEED = 3
    with pytest.raises(AttributeError):
        made.dataset = "x"


def test_the_defaults_are_fresh_each_time() -> None:
    first = extended_defaults()
    first.OPTIM.LR = 99.0
    first.TRAINER.AMU.INIT = "x"
    second = extended_defaults()
    assert second.OPTIM.LR != 99.0 and second.TRAINER.AMU.INIT == "class_mean"
    assert (second.TRAIN.VIEWS, second.OPTIM.ADAM_EPS, second.DATASET.SUBSAMPLE_CLASSES) == ("online", 1e-4, "all")


def test_a_trainer_that_extends_ours_has_its_files_and_settings(
    plan: Plan, trainers_of_this_test: None, tmp_path: Path
) -> None:
    TRAINER_REGISTRY.register(type("Derived", (TRAINER_REGISTRY.get("AMU"),), {}))
    made = plan("--trainer", "Derived")
    assert made.cfg.TRAINER.NAME == "Derived" and set(made.cfg.TRAINER) == {"NAME", "AMU"}
    assert made.config == "tiny" and made.cfg.TRAINER.AMU.AUX_ENCODER == "tiny"
    (tmp_path / "settings.json").write_text('{"TRAINER.NAME": "Derived", "TRAINER.AMU.LOSS_LAMBDA": 0.6}')
    evaluated = plan("--trainer", "Derived", "--eval-only", "--model-dir", str(tmp_path))
    assert evaluated.cfg.TRAINER.AMU.LOSS_LAMBDA == 0.6
