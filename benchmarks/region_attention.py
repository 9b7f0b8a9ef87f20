"""How much cheaper RAFT's region attention is when only what two tokens read is computed.

    python -m benchmarks.region_attention

The plain layer (all 51 tokens attend, as released) and the folded one take turns in one process at RN50's sizes, in
float32 on the CPU; where CUDA is there, also on it in float32 and under float16 autocast, with the share of the
roofline: the least time that the device needs at its peak rates, over the time measured. That outputs and all gradients
agree is checked first. Maps are frozen, as in training, so no gradient reaches them.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from amu_raft.backbones.clip_package import clip_model
from amu_raft.backbones.precision import Precision
from amu_raft.methods.raft.region_attention import RegionAttention
from benchmarks.harness import Spread, alternate, check_agreement, describe_machine, ratios, spread, write_report

TOLERANCES = {"fp32": 1e-5, "amp": 3e-2}  # norm-wise, outputs and gradients; amp multiplies in half precision


class Sizes(NamedTuple):
    """Sizes of the layer."""

    grid: int
    width: int
    heads: int
    output: int

    @property
    def tokens(self) -> int:
        """Regions and the two mean tokens."""
        return self.grid**2 + 2


RN50 = Sizes(grid=7, width=2048, heads=32, output=1024)


class Peak(NamedTuple):
    """What a device reaches at most: dense matrix products in 1e12 FLOP/s, memory in 1e9 bytes/s."""

    fp32: float
    amp: float
    memory: float


# Data sheets, without sparsity, float32 without TF32; the first name that a device's name contains counts.
PEAKS = {
    "H200": Peak(67.0, 989.0, 4800.0),
    "H100 80GB HBM3": Peak(67.0, 989.0, 3350.0),
    "A100-SXM4-80GB": Peak(19.5, 312.0, 2039.0),
    "A100-SXM4-40GB": Peak(19.5, 312.0, 1555.0),
    "V100-SXM2": Peak(15.7, 125.0, 900.0),
    "T4": Peak(8.1, 65.0, 320.0),
}


# ------------------------------------------------------------------------------------------------------------- costs


def count_flops(pooling: str, sizes: Sizes, batch: int) -> int:
    """Return the FLOPs of forward and backward in matrix products.

    Backward costs twice as much as forward: both factors of every product have a gradient.
    """
    n, t, e, o = batch, sizes.tokens, sizes.width, sizes.output
    if pooling == "plain":
        multiplications = 3 * n * t * e * e + 2 * n * t * t * e + n * t * e * o  # q, k, v; scores, mix; output
    else:
        # Two queries: project, fold, shift; scores and pooled tokens for every head; values; output.
        multiplications = 2 * n * (2 * e * e + e + 2 * sizes.heads * t * e + e * e + e * o)
    return 3 * 2 * multiplications


def count_bytes(sizes: Sizes, batch: int, precision: str) -> int:
    """Return the bytes that must move in forward and backward, however it is computed.

    Weights are read in both directions and their float32 gradients written, maps are read, vectors written and their
    gradients read; all else could stay in cache.
    """
    e, o = sizes.width, sizes.output
    element = 4 if precision == "fp32" else 2
    weights = sizes.tokens * e + 3 * e * (e + 1) + o * (e + 1)
    return weights * (4 + element + 4) + batch * (sizes.grid**2 * e + 2 * 2 * o) * element


def find_peak(device_name: str | None) -> Peak | None:
    """Return a device's peak rates, or None if they are not in the table."""
    return next((peak for name, peak in PEAKS.items() if name in (device_name or "")), None)


# ----------------------------------------------------------------------------------------------------------- measure


def make_layers(sizes: Sizes, device: torch.device) -> dict[str, RegionAttention]:
    """Return the plain and the folded layer with the same random weights, the two tokens unlike."""
    torch.manual_seed(0)
    pool: Any = clip_model.AttentionPool2d(*sizes)
    with torch.no_grad():
        for layer in (pool.q_proj, pool.k_proj, pool.v_proj, pool.c_proj):
            nn.init.normal_(layer.bias)
    layers = {name: RegionAttention(pool, pooling=name).to(device) for name in ("plain", "folded")}
    rows = torch.randn(2, sizes.width, device=device)
    with torch.no_grad():
        for made in layers.values():
            made.positional_embedding[:2] += rows
    return layers


def make_step(layer: RegionAttention, maps: Tensor, mixing: Tensor, precision: str) -> Callable[[], Tensor]:
    """Return a function that runs the layer forward and backward once and returns the readouts, (2, N, O)."""

    def step() -> Tensor:
        layer.zero_grad(set_to_none=True)
        with Precision(precision).autocast(maps.device):
            readouts = torch.stack(layer(maps))
        (readouts.float() * mixing).sum().backward()  # type: ignore[no-untyped-call]
        return readouts.detach()

    return step


def compare(layers: dict[str, RegionAttention], steps: dict[str, Callable[[], Tensor]], tolerance: float) -> float:
    """Return the largest relative difference between the layers' outputs and gradients.

    Raises:
        RuntimeError: If they do not agree.
    """
    computed = {}
    for name, step in steps.items():
        readouts = step()
        gradients = {key: value.grad for key, value in layers[name].named_parameters() if value.grad is not None}
        computed[name] = {"readouts": readouts, **gradients}
    # The gradient of the k bias is zero in theory, as softmax ignores a shift: its rounding noise has no scale.
    scale = float(computed["plain"]["q_proj.bias"].norm())
    return check_agreement(computed["plain"], computed["folded"], tolerance=tolerance, scales={"k_proj.bias": scale})


def measure(
    sizes: Sizes, batch: int, repeats: int, *, device: torch.device, precision: str, inner: int = 1
) -> dict[str, Any]:
    """Check that both layers agree, then time them in alternation.

    Args:
        sizes: Sizes of the layer.
        batch: Images.
        repeats: Timed rounds.
        device: Where to run.
        precision: "fp32" or "amp".
        inner: Steps in a round; where a step is short, several are timed together.

    Returns:
        Settings, the largest difference, the ratio, and per layer milliseconds a step and FLOPs.

    Raises:
        RuntimeError: If the layers do not agree.
    """
    layers = make_layers(sizes, device)
    generator = torch.Generator().manual_seed(1)
    maps = torch.randn(batch, sizes.width, sizes.grid, sizes.grid, generator=generator).to(device)
    mixing = torch.randn(2, batch, sizes.output, generator=generator).to(device)
    if precision == "amp" and device.type == "cuda":
        maps = maps.half()  # as the frozen backbone leaves them
    steps = {name: make_step(layer, maps, mixing, precision) for name, layer in layers.items()}
    difference = compare(layers, steps, TOLERANCES[precision])
    tasks = {name: partial(_run, step, inner) for name, step in steps.items()}
    seconds = alternate(tasks, repeats, device=device)
    sides = {
        name: {
            "milliseconds": spread([1e3 * second / inner for second in figures])._asdict(),
            "flops": count_flops(name, sizes, batch),
            "bytes": count_bytes(sizes, batch, precision),
        }
        for name, figures in seconds.items()
    }
    return {
        "device": device.type,
        "precision": precision,
        "batch": batch,
        "repeats": repeats,
        "sizes": sizes._asdict(),
        "largest_difference": difference,
        "ratio": ratios(seconds["plain"], seconds["folded"])._asdict(),
        "sides": sides,
    }


def _run(step: Callable[[], object], times: int) -> None:
    for _ in range(times):
        step()


def add_roofline(result: dict[str, Any], peak: Peak | None) -> None:
    """Add to each side of a result which share of the roofline it reaches; None if the peak is unknown."""
    for side in result["sides"].values():
        side["roofline_share"] = None
        if peak is not None:
            rate = getattr(peak, result["precision"]) * 1e12
            least = max(side["flops"] / rate, side["bytes"] / (peak.memory * 1e9))
            side["roofline_share"] = 1e3 * least / side["milliseconds"]["median"]


# ------------------------------------------------------------------------------------------------------------- command


def print_result(result: dict[str, Any]) -> None:
    """Print one comparison as a small table."""
    print(
        f"\n{result['device']}, {result['precision']}, batch {result['batch']}; outputs and gradients agree "
        f"within {result['largest_difference']:.1g}"
    )
    print(f"{'milliseconds a step':22}{'min':>10}{'median':>10}{'max':>10}{'GFLOP':>9}{'GFLOP/s':>9}  roofline")
    for name, side in result["sides"].items():
        times = Spread(**side["milliseconds"])
        share = side.get("roofline_share")
        print(
            f"{name:22}{''.join(f'{time:10.2f}' for time in times)}{side['flops'] / 1e9:9.1f}"
            f"{side['flops'] / times.median / 1e6:9.0f}  {'unknown' if share is None else f'{share:.1%}'}"
        )
    print(f"{'ratio':22}{''.join(f'{ratio:10.2f}' for ratio in result['ratio'].values())}")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32, help="images in a step (default 32)")
    parser.add_argument("--repeats", type=int, default=20, help="timed rounds of each layer (default 20)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    parser.add_argument(
        "--peak",
        type=float,
        nargs=3,
        metavar=("FP32", "FP16", "MEMORY"),
        help="peak rates of the CUDA device if the table does not know it: 1e12 FLOP/s twice, 1e9 bytes/s",
    )
    arguments = parser.parse_args(argv)
    for name in ("batch", "repeats", "threads"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name} must be at least 1, got {getattr(arguments, name)}")
    if arguments.peak and min(arguments.peak) <= 0:
        parser.error(f"--peak takes positive rates, got {' '.join(map(str, arguments.peak))}")
    return arguments


def main(argv: Sequence[str] | None = None, *, sizes: Sizes = RN50) -> int:
    """Print tables and write JSON."""
    arguments = parse_arguments(argv)
    torch.set_num_threads(arguments.threads)
    cuda = torch.device("cuda") if torch.cuda.is_available() else None
    machine = describe_machine(cuda or "cpu")
    print(", ".join(f"{name} {value}" for name, value in machine.items() if value is not None))
    results = [measure(sizes, arguments.batch, arguments.repeats, device=torch.device("cpu"), precision="fp32")]
    print_result(results[0])
    if cuda is not None:
        peak = Peak(*arguments.peak) if arguments.peak else find_peak(machine["accelerator"])
        torch.backends.cuda.matmul.allow_tf32 = False
        for precision in TOLERANCES:
            result = measure(sizes, arguments.batch, arguments.repeats, device=cuda, precision=precision, inner=20)
            add_roofline(result, peak)
            print_result(result)
            results.append(result)
    if arguments.json:
        write_report(arguments.json, "region_attention", machine, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
