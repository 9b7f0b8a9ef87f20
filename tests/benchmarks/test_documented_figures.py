"""docs/performance.md against the records that it quotes."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def record(name: str) -> Any:
    content = json.loads((DOCS / "performance" / f"{name}.json").read_text())
    return content["results"]


def section(title: str) -> str:
    text = (DOCS / "performance.md").read_text()
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("method", ["AMU", "RAFT"])
def test_whole_runs(method: str) -> None:
    (result,) = record(f"whole_run_{method.lower()}")
    seconds = {side: f"{result['seconds'][side]['median']:.1f} s" for side in ("online", "cold", "warm")}
    ratios = {side: f"{result['ratios'][side]['median']:.1f}" for side in ("cold", "warm")}
    targets = {side: str(result["targets"][side]) for side in ("cold", "warm")}
    row = [*seconds.values(), ratios["cold"], targets["cold"], ratios["warm"], targets["warm"]]
    assert f"| {method} | {' | '.join(row)} |" in section("Whole runs")
    largest = max(result["largest_differences"].values())
    stated = re.search(r"differences up to ([0-9e.-]+)\)", section("Whole runs"))
    assert stated and largest <= 1.5 * float(stated[1])


def test_pooling() -> None:
    (result,) = record("region_attention")
    figures = [result["ratio"][name] for name in ("median", "min", "max")]
    text = section("RAFT's pooling")
    assert "{:.1f} times as long as the folded\none (median; {:.1f} to {:.1f}; target 6)".format(*figures) in text


def test_extraction() -> None:
    speed, memory = record("extraction")
    shown = section("Extraction")
    for row, task in (
        ("bare forward", "bare"),
        ("no reading processes", "0 workers"),
        ("two reading processes", "2 workers"),
    ):
        share = speed["share_of_bare"].get(task)
        percent = f" {100 * share['median']:.0f} % " if share else " "
        assert f"| {row} | {speed['images_per_second'][task]['median']:.1f} |{percent}|" in shown
    few, many = (f"{memory['peak_mib'][count]:.0f} MiB" for count in ("1000", "50000"))
    assert f"1,000 images: {few}; 50,000 images: {many}. Growth {memory['growth_mib']:.0f} MiB" in shown


def test_a_sweep() -> None:
    (result,) = record("sweep_cost")
    shown = section("A sweep")
    for name in ("with_store_seconds", "without_store_seconds"):
        assert f"| {result[name]:.1f} |" in shown
    assert f"| {result['filled_store_seconds_a_run']['median']:.1f} |" in shown
    assert set(result["test_features_computed"].values()) == {1}


def test_prediction() -> None:
    *speeds, few, many, start = record("prediction")
    shown = section("Prediction")
    assert {speed["method"] for speed in speeds} == {"ZeroshotCLIP", "AMU"}
    for speed in speeds:
        bare, predict = (speed[f"{side}_images_per_second"]["median"] for side in ("encoder", "predict"))
        share = "{:.0f} % ({:.0f} to {:.0f})".format(
            *(100 * speed["share_of_encoder"][name] for name in ("median", "min", "max"))
        )
        assert f"| {speed['method']} | {bare:.1f} | {predict:.1f} | {share} |" in shown
    memory = f"100 pictures: {few['peak_memory_mb']:.0f} MiB; 10,000 pictures: {many['peak_memory_mb']:.0f} MiB"
    assert (few["pictures"], many["pictures"]) == (100, 10_000) and memory in shown
    seconds = [start["seconds"][name] for name in ("median", "min", "max")]
    assert "One picture with the tiny encoders: {:.1f} s ({:.1f} to {:.1f}; target 3)".format(*seconds) in shown
