import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import region_attention
from benchmarks.region_attention import Peak, Sizes

SMALL = Sizes(grid=3, width=24, heads=4, output=10)
CPU = torch.device("cpu")


def steps_for(sizes: Sizes, batch: int) -> tuple[Any, Any]:
    layers = region_attention.make_layers(sizes, CPU)
    maps, mixing = torch.randn(batch, sizes.width, sizes.grid, sizes.grid), torch.randn(2, batch, sizes.output)
    return layers, {name: region_attention.make_step(layer, maps, mixing, "fp32") for name, layer in layers.items()}


def test_the_table_and_the_report(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    arguments = ["--batch", "2", "--repeats", "3", "--threads", "1", "--json", str(path)]
    assert region_attention.main(arguments, sizes=SMALL) == 0
    machine, blank, title, head, *rows = capsys.readouterr().out.splitlines()
    assert "threads 1" in machine and torch.__version__ in machine and not blank
    assert re.fullmatch(r"cpu, fp32, batch 2; outputs and gradients agree within \d(\.\d)?e-\d\d", title)
    assert head.split()[-6:] == ["min", "median", "max", "GFLOP", "GFLOP/s", "roofline"]
    assert [row.split()[0] for row in rows] == ["plain", "folded", "ratio"]
    assert rows[0].endswith("unknown") and rows[1].endswith("unknown")
    for row in rows:
        least, median, most = (float(figure) for figure in row.split()[1:4])
        assert 0 < least <= median <= most
    report = json.loads(path.read_text())
    [result] = report["results"]
    assert report["benchmark"] == "region_attention" and report["machine"]["threads"] == 1
    assert result["sizes"] == SMALL._asdict() and result["batch"] == 2 and result["repeats"] == 3
    assert 0 < result["ratio"]["min"] <= result["ratio"]["median"] <= result["ratio"]["max"]
    assert result["largest_difference"] < 1e-5


def test_both_layers_are_trained_on_the_same_loss() -> None:
    layers, steps = steps_for(SMALL, 3)
    assert 0 < region_attention.compare(layers, steps, 1e-5) < 1e-5
    readouts = steps["folded"]()
    assert readouts.shape == (2, 3, 10) and not torch.allclose(readouts[0], readouts[1], atol=1e-3)
    assert all(parameter.grad is not None for layer in layers.values() for parameter in layer.parameters())


@pytest.mark.parametrize("name", ["k_proj", "v_proj", "c_proj"])
def test_another_layer_is_noticed(name: str) -> None:
    layers, steps = steps_for(SMALL, 3)
    with torch.no_grad():
        getattr(layers["folded"], name).weight[0, 0] += 0.05
    with pytest.raises(RuntimeError, match="The two sides differ in"):
        region_attention.compare(layers, steps, 1e-5)


def test_a_gradient_of_the_k_bias_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no norm of its own to be compared with."""
    layers, steps = steps_for(SMALL, 3)
    right = steps["folded"]

    def wrong() -> Tensor:
        readouts: Tensor = right()
        layers["folded"].k_proj.bias.grad[0] += 0.1
        return readouts

    with pytest.raises(RuntimeError, match=r"differ in k_proj\.bias"):
        region_attention.compare(layers, {**steps, "folded": wrong}, 1e-5)


def test_half_precision() -> None:
    result = region_attention.measure(SMALL, 4, 2, device=CPU, precision="amp", inner=3)
    assert 1e-5 < result["largest_difference"] < 3e-2 and result["precision"] == "amp"


# ------------------------------------------------------------------------------------------------------------- costs


@pytest.mark.parametrize("sizes", [SMALL, Sizes(2, 16, 2, 8), Sizes(5, 36, 3, 20)])
@pytest.mark.parametrize("batch", [1, 3])
def test_flops_are_those_that_torch_counts(sizes: Sizes, batch: int) -> None:
    _, steps = steps_for(sizes, batch)
    counted = {}
    for name, step in steps.items():
        with FlopCounterMode(display=False) as counter:
            step()
        counted[name] = counter.get_total_flops()
    scores_again = 2 * batch * sizes.tokens**2 * sizes.width  # torch's fused attention computes them anew in backward
    assert region_attention.count_flops("folded", sizes, batch) == counted["folded"]
    assert region_attention.count_flops("plain", sizes, batch) == counted["plain"] - scores_again


def test_rn50_is_as_cheap_as_expected() -> None:
    """About 750 M multiply-adds an image forward for the plain layer, about 43 M for the folded one."""
    plain, folded = (region_attention.count_flops(name, region_attention.RN50, 1) / 6e6 for name in ("plain", "folded"))
    assert plain == pytest.approx(760, abs=15) and folded == pytest.approx(43, abs=1)


def test_bytes() -> None:
    parameters = sum(p.numel() for p in region_attention.make_layers(SMALL, CPU)["folded"].parameters())
    moved = 5 * (9 * 24 + 4 * 10)
    assert region_attention.count_bytes(SMALL, 5, "fp32") == 12 * parameters + 4 * moved
    assert region_attention.count_bytes(SMALL, 5, "amp") == 10 * parameters + 2 * moved


def test_share_of_the_roofline() -> None:
    side = {"milliseconds": {"min": 1.0, "median": 2.0, "max": 3.0}, "flops": 10**9, "bytes": 10**6}
    result: dict[str, Any] = {"precision": "fp32", "sides": {"plain": dict(side)}}
    region_attention.add_roofline(result, Peak(fp32=1.0, amp=4.0, memory=100.0))  # 1 ms of products, 0.01 ms of bytes
    assert result["sides"]["plain"]["roofline_share"] == pytest.approx(0.5)
    region_attention.add_roofline(result, Peak(fp32=1000.0, amp=4.0, memory=1.0))  # 1 ms of bytes
    assert result["sides"]["plain"]["roofline_share"] == pytest.approx(0.5)
    region_attention.add_roofline({**result, "precision": "amp"}, Peak(fp32=1.0, amp=4.0, memory=100.0))
    assert result["sides"]["plain"]["roofline_share"] == pytest.approx(0.125)
    region_attention.add_roofline(result, None)
    assert result["sides"]["plain"]["roofline_share"] is None


def test_peaks_by_name() -> None:
    assert region_attention.find_peak("NVIDIA H100 80GB HBM3") == Peak(67.0, 989.0, 3350.0)
    assert region_attention.find_peak("NVIDIA H200") == Peak(67.0, 989.0, 4800.0)
    assert region_attention.find_peak("Some Device 3000") is None and region_attention.find_peak(None) is None


def test_a_share_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    result = region_attention.measure(SMALL, 2, 1, device=CPU, precision="fp32")
    region_attention.add_roofline(result, Peak(1e-3, 1e-3, 1e-3))
    region_attention.print_result(result)
    assert len(re.findall(r" \d+\.\d%$", capsys.readouterr().out, flags=re.MULTILINE)) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch", "0"], "--batch must be at least 1, got 0"),
        (["--repeats", "-1"], "--repeats must be at least 1, got -1"),
        (["--threads", "0"], "--threads must be at least 1, got 0"),
        (["--peak", "1", "0", "2"], "--peak takes positive rates, got 1.0 0.0 2.0"),
    ],
)
def test_arguments_are_checked(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        region_attention.main(arguments)
    assert stopped.value.code == 2 and message in capsys.readouterr().err
