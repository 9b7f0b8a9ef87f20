from typing import Any

import pytest
import torch

from amu_raft.backbones.precision import PRECISIONS, Precision


@pytest.mark.parametrize(
    ("name", "weights", "product"),
    [
        ("fp32", torch.float32, torch.float32),
        ("amp", torch.float32, torch.bfloat16),
        ("fp16", torch.float16, torch.float16),
    ],
)
def test_what_each_precision_computes_in_on_the_cpu(name: str, weights: torch.dtype, product: torch.dtype) -> None:
    precision = Precision(name)
    assert precision.weight_dtype == weights
    matrix = torch.ones(3, 3, dtype=weights)
    with precision.autocast("cpu"):
        assert (matrix @ matrix).dtype == product
    assert (matrix @ matrix).dtype == weights


@pytest.mark.parametrize("name", PRECISIONS)
def test_weights_are_cast_in_place_and_buffers_are_not(name: str) -> None:
    precision, layer = Precision(name), torch.nn.BatchNorm1d(2)
    weight = layer.weight
    precision.cast_weights(layer)
    assert layer.weight is weight and {value.dtype for value in layer.parameters()} == {precision.weight_dtype}
    assert layer.running_mean is not None and layer.running_mean.dtype == torch.float32


@pytest.mark.parametrize("name", PRECISIONS)
def test_the_scaler_passes_everything_through_on_the_cpu(name: str) -> None:
    scaler = Precision(name).gradient_scaler(torch.device("cpu"))
    assert not scaler.is_enabled()
    assert float(scaler.scale(torch.tensor(3.0))) == 3.0


def test_cuda_amp_is_float16_with_scaling(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, torch.dtype] = {}
    monkeypatch.setattr(torch, "autocast", lambda kind, dtype: made.setdefault(kind, dtype))
    monkeypatch.setattr(torch.amp, "GradScaler", lambda kind, enabled: (kind, enabled))
    amp: Any = Precision("amp")
    amp.autocast("cuda:0")
    assert made == {"cuda": torch.float16}
    assert amp.gradient_scaler("cuda:0") == ("cuda", True)
    half: Any = Precision("fp16")
    assert half.gradient_scaler("cuda") == ("cuda", False)


@pytest.mark.parametrize("name", ["bf16", "FP32", ""])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"unknown precision '{name}'; choose from fp32, amp, fp16"):
        Precision(name)
