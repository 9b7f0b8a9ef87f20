"""What runs were configured with: what all share, what tells groups apart, and what varies within a group."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.results.report.host_paths import HostPaths

# They name the run or its place, not what it computes.
LEFT_OUT = frozenset({"OUTPUT_DIR", "RESUME"})
ABSENT = "not set"


@dataclass(frozen=True)
class Setting:
    """A key with its value in every run of a group; ``varies`` where they differ, then with one value a line."""

    key: str
    values: tuple[str, ...]

    @property
    def varies(self) -> bool:
        """Whether runs of the group differ in it."""
        return len(self.values) > 1


@dataclass(frozen=True)
class GroupSettings:
    """The settings of a group that not all groups share, those that vary within it first."""

    name: str
    runs: int
    settings: tuple[Setting, ...]

    @property
    def varying(self) -> int:
        """How many settings differ between runs of the group."""
        return sum(setting.varies for setting in self.settings)


def compare_settings(
    groups: Mapping[str, Sequence[Mapping[str, Any]]], paths: HostPaths
) -> tuple[tuple[Setting, ...], tuple[GroupSettings, ...]]:
    """Split configurations into what all runs share and what is left of each group.

    Args:
        groups: The nested configurations of the runs of each group, by its name.
        paths: Cuts the machine's paths out of values.
    """
    flat = {name: [flatten(cfg, paths) for cfg in cfgs] for name, cfgs in groups.items() if cfgs}
    every = [cfg for cfgs in flat.values() for cfg in cfgs]
    keys = sorted({key for cfg in every for key in cfg})
    values = {key: _values(key, every) for key in keys}
    shared = tuple(Setting(key, values[key]) for key in keys if len(values[key]) == 1)
    apart = [key for key in keys if len(values[key]) > 1]
    return shared, tuple(_group(name, cfgs, apart) for name, cfgs in flat.items())


def flatten(cfg: Mapping[str, Any], paths: HostPaths, prefix: str = "") -> dict[str, str]:
    """Return the leaves of a nested configuration as text, by dotted key."""
    leaves: dict[str, str] = {}
    for key, value in cfg.items():
        if isinstance(value, Mapping):
            leaves |= flatten(value, paths, f"{prefix}{key}.")
        elif f"{prefix}{key}" not in LEFT_OUT:
            leaves[f"{prefix}{key}"] = _shown(value, paths)
    return leaves


def _shown(value: Any, paths: HostPaths) -> str:
    if isinstance(value, str):
        return paths.cut(value) or '""'
    return paths.cut(json.dumps(value, ensure_ascii=False, default=str))


def _group(name: str, cfgs: Sequence[Mapping[str, str]], keys: Sequence[str]) -> GroupSettings:
    settings = [Setting(key, _values(key, cfgs)) for key in keys if any(key in cfg for cfg in cfgs)]
    return GroupSettings(
        name, len(cfgs), tuple(sorted(settings, key=lambda setting: (not setting.varies, setting.key)))
    )


def _values(key: str, cfgs: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """Return the distinct values of a key, numbers in order."""
    found = {cfg.get(key, ABSENT) for cfg in cfgs}
    return tuple(sorted(found, key=_in_order))


def _in_order(text: str) -> tuple[int, float, str]:
    try:
        return 0, float(text), text
    except ValueError:
        return 1, 0.0, text
