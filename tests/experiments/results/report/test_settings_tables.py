from experiments.results.report.host_paths import HostPaths
from experiments.results.report.settings_tables import Setting, compare_settings, flatten

PATHS = HostPaths()


def test_nested_settings_become_dotted_keys_without_the_runs_own_place() -> None:
    cfg = {
        "SEED": 1,
        "OUTPUT_DIR": "/tmp/x",
        "DATASET": {"ROOT": "/data/all", "NAME": ""},
        "SIZE": [64, 64],
        "NEW": None,
    }
    assert flatten(cfg, PATHS) == {
        "SEED": "1",
        "DATASET.ROOT": "…/all",
        "DATASET.NAME": '""',
        "SIZE": "[64, 64]",
        "NEW": "null",
    }


def test_settings_are_split_into_shared_and_different() -> None:
    amu = [{"SEED": seed, "LR": 0.1, "EPOCHS": 50, "ALPHA": 4.0} for seed in (2, 10, 1)]
    raft = [{"SEED": 1, "LR": 0.2, "EPOCHS": 50}]
    shared, groups = compare_settings({"AMU": amu, "RAFT": raft, "none": []}, PATHS)
    assert shared == (Setting("EPOCHS", ("50",)),)
    assert [(group.name, group.runs, group.varying) for group in groups] == [("AMU", 3, 1), ("RAFT", 1, 0)]
    assert groups[0].settings == (
        Setting("SEED", ("1", "2", "10")),
        Setting("ALPHA", ("4.0",)),
        Setting("LR", ("0.1",)),
    )
    assert groups[1].settings == (Setting("LR", ("0.2",)), Setting("SEED", ("1",)))


def test_a_key_that_only_some_runs_of_a_group_have_varies() -> None:
    _, (group,) = compare_settings({"AMU": [{"A": 1}, {"A": 1, "B": True}]}, PATHS)
    assert group.settings == (Setting("B", ("not set", "true")),)
