from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from yacs.config import CfgNode

from dassl.config import clean_cfg, get_cfg_default
from dassl.config.defaults import upstream_methods


def flatten(node: Any, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in node.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, CfgNode) else {prefix + key: value}
    return flat


def test_tree_equals_the_record(recorded: dict[str, Any]) -> None:
    here = {
        key: [type(value).__name__, list(value) if isinstance(value, tuple) else value]
        for key, value in flatten(get_cfg_default()).items()
    }
    assert here == recorded["items"]["config/defaults"]


def test_each_tree_is_its_own() -> None:
    first = get_cfg_default()
    first.SEED = 99
    first.INPUT.PIXEL_MEAN.append(1.0)
    first.TRAINER.COOP = CfgNode({"N_CTX": 16})
    assert get_cfg_default().SEED == -1
    assert len(get_cfg_default().INPUT.PIXEL_MEAN) == 3
    assert "COOP" not in get_cfg_default().TRAINER


def test_trees_are_open_for_new_keys_until_frozen() -> None:
    cfg = get_cfg_default()
    cfg.DATASET.SUBSAMPLE_CLASSES = "all"
    cfg.TRAINER.TaskRes = CfgNode()
    cfg.TRAINER.TaskRes.N_CTX = 16
    cfg.merge_from_list(["TRAINER.TaskRes.N_CTX", "4"])
    assert cfg.TRAINER.TaskRes.N_CTX == 4
    cfg.freeze()
    with pytest.raises(AttributeError):
        cfg.SEED = 1


def test_yaml_text_is_decoded(tmp_path: Any) -> None:
    path = tmp_path / "c.yaml"
    path.write_text('INPUT:\n  SIZE: (64, 32)\n  TRANSFORMS: ["random_flip"]\nOPTIM:\n  WARMUP_CONS_LR: 1e-4\n')
    cfg = get_cfg_default()
    cfg.merge_from_file(str(path))
    assert tuple(cfg.INPUT.SIZE) == (64, 32)
    assert list(cfg.INPUT.TRANSFORMS) == ["random_flip"]
    assert cfg.OPTIM.WARMUP_CONS_LR == 1e-4


def test_clean_cfg_keeps_one_method() -> None:
    cfg = get_cfg_default()
    clean_cfg(cfg, "fixmatch")
    assert sorted(cfg.TRAINER) == ["FIXMATCH", "NAME"]
    clean_cfg(cfg, "CoOp")
    assert list(cfg.TRAINER) == ["NAME"]


def test_upstream_methods_are_the_other_nodes() -> None:
    assert set(get_cfg_default().TRAINER) == {"NAME", *upstream_methods()}


NUMBERS = {key: value for key, value in flatten(get_cfg_default()).items() if type(value) is int}


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(sorted(NUMBERS)), st.integers(-1000, 1000)), max_size=12))
def test_merging_lists_changes_the_named_keys_and_the_last_wins(pairs: list[tuple[str, int]]) -> None:
    cfg = get_cfg_default()
    cfg.merge_from_list([part for key, value in pairs for part in (key, str(value))])
    assert flatten(cfg) == {**flatten(get_cfg_default()), **dict(pairs)}


@settings(deadline=None, max_examples=25)
@given(st.dictionaries(st.sampled_from(sorted(NUMBERS)), st.integers(-1000, 1000), max_size=6))
def test_merging_twice_is_merging_once(pairs: dict[str, int]) -> None:
    once, twice = get_cfg_default(), get_cfg_default()
    changes = [part for key, value in pairs.items() for part in (key, value)]
    once.merge_from_list(changes)
    twice.merge_from_list(changes)
    twice.merge_from_list(changes)
    assert once == twice


LEAVES = flatten(get_cfg_default())
TEXT = st.text("abcdefg_/", min_size=1, max_size=8)


def values(default: Any) -> st.SearchStrategy[Any]:
    """Values that may replace a default: of its type, lists and tuples for each other."""
    if isinstance(default, bool):
        return st.booleans()
    if isinstance(default, (list, tuple)):
        items = st.lists(st.integers(-9, 9) | st.floats(-9, 9) | TEXT, max_size=4)
        return items | items.map(tuple)
    return {int: st.integers(-1000, 1000), float: st.floats(-1000, 1000), str: TEXT}[type(default)]


CHANGES = st.lists(st.sampled_from(sorted(LEAVES)), max_size=6, unique=True).flatmap(
    lambda keys: st.fixed_dictionaries({key: values(LEAVES[key]) for key in keys})
)


def nested(changes: dict[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in changes.items():
        *nodes, key = path.split(".")
        node = tree
        for name in nodes:
            node = node.setdefault(name, {})
        node[key] = list(value) if isinstance(value, tuple) else value
    return tree


def cast_like(default: Any, value: Any) -> Any:
    """What replaces a default keeps its type where both are sequences."""
    return type(default)(value) if isinstance(default, (list, tuple)) else value


@settings(max_examples=40)
@given(dataset=CHANGES, trainer=CHANGES, flags=CHANGES, pairs=CHANGES)
def test_the_order_of_merging_is_the_order_of_precedence(
    tmp_path_factory: pytest.TempPathFactory,
    dataset: dict[str, Any],
    trainer: dict[str, Any],
    flags: dict[str, Any],
    pairs: dict[str, Any],
) -> None:
    """Data set file, trainer file, flags by assignment, then KEY VALUE pairs; the rest keeps its default."""
    folder = tmp_path_factory.mktemp("yaml")
    cfg = get_cfg_default()
    for name, changes in (("dataset", dataset), ("trainer", trainer)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(nested(changes)))
        cfg.merge_from_file(str(folder / f"{name}.yaml"))
    for path, value in flags.items():
        *nodes, key = path.split(".")
        node = cfg
        for name in nodes:
            node = node[name]
        node[key] = cast_like(LEAVES[path], value)
    cfg.merge_from_list([part for key, value in pairs.items() for part in (key, repr(value))])
    cfg.freeze()
    merged = {**LEAVES, **dataset, **trainer, **flags, **pairs}
    assert flatten(cfg) == {key: cast_like(LEAVES[key], value) for key, value in merged.items()}
    assert {key: type(value) for key, value in flatten(cfg).items()} == {k: type(v) for k, v in LEAVES.items()}
    assert flatten(get_cfg_default()) == LEAVES


@given(name=st.sampled_from(["COOP", "MaPLe", "TaskRes", "x1"]), leaf=TEXT, value=st.integers() | TEXT)
def test_new_nodes_are_merged_into_like_old_ones(name: str, leaf: str, value: Any) -> None:
    cfg = get_cfg_default()
    setattr(cfg.TRAINER, name, CfgNode())
    cfg.TRAINER[name][leaf] = value
    other = cfg.clone()
    cfg.merge_from_list([f"TRAINER.{name}.{leaf}", repr(value)])
    assert cfg == other
    clean_cfg(cfg, name)
    assert set(cfg.TRAINER) == ({"NAME", name} if name.isupper() else {"NAME"})


@pytest.mark.parametrize("changes", [["OPTIM.LRR", "1"], ["NOPE", "1"]])
def test_unknown_keys_are_refused(changes: list[str]) -> None:
    with pytest.raises(AssertionError):
        get_cfg_default().merge_from_list(changes)


def test_type_mismatch_is_refused() -> None:
    with pytest.raises(ValueError, match="Type mismatch"):
        get_cfg_default().merge_from_list(["SEED", "'text'"])
