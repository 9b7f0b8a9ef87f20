from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from amu_raft.methods.amu.released import read_adapter, write_adapter
from tests.amu_raft.methods.weight_files import from_cuda, saved

C, F = 5, 12
WEIGHT = torch.randn(C, F, generator=torch.Generator().manual_seed(0))
FORMS: dict[str, Callable[[Tensor], Any]] = {
    "fc.weight": lambda w: {"fc.weight": w},
    "weight": lambda w: {"weight": w},
    "state_dict": lambda w: {"state_dict": {"fc.weight": w}, "epoch": 49, "optimizer": {"state": {}, "lr": 0.1}},
    "nested twice": lambda w: {"state_dict": {"state_dict": {"weight": w}}},
    "module": lambda w: {"state_dict": {"module.fc.weight": w}},
    "state_dict is the tensor": lambda w: {"state_dict": w},
    "tensor": lambda w: w,
    "parameter": lambda w: nn.Parameter(w),
    "parameter of a state dict": lambda w: {"fc.weight": nn.Parameter(w)},
    "non-contiguous": lambda w: {"fc.weight": w.t().contiguous().t()},
    "part of a larger storage": lambda w: {"fc.weight": torch.cat([w, w])[:C]},
}


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_an_adapter(form: str, transposed: bool, tmp_path: Path) -> None:
    stored = WEIGHT.t().contiguous() if transposed else WEIGHT
    if form == "part of a larger storage" and transposed:
        stored = WEIGHT.t()
    content = {"fc.weight": torch.cat([stored, stored])[: len(stored)]} if "larger" in form else FORMS[form](stored)
    weight, note = read_adapter(saved(content, tmp_path), F)
    assert torch.equal(weight, WEIGHT)
    assert weight.dtype == torch.float32 and weight.is_contiguous() and not weight.requires_grad
    assert ("transposed" in note) == transposed


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_floating_type(dtype: torch.dtype, tmp_path: Path) -> None:
    weight, note = read_adapter(saved({"fc.weight": WEIGHT.to(dtype)}, tmp_path), F)
    assert torch.equal(weight, WEIGHT.to(dtype).float()) and note == ""


def test_safetensors(tmp_path: Path) -> None:
    save_file({"fc.weight": WEIGHT}, tmp_path / "w.safetensors")
    assert torch.equal(read_adapter(tmp_path / "w.safetensors", F)[0], WEIGHT)


def test_an_adapter_saved_from_cuda(tmp_path: Path) -> None:
    path = from_cuda(saved({"fc.weight": WEIGHT.t().contiguous().t()}, tmp_path), tmp_path / "cuda.pt")
    weight, _ = read_adapter(path, F)
    assert torch.equal(weight, WEIGHT) and weight.device.type == "cpu"


def test_a_square_adapter_is_taken_as_it_is_and_that_is_said(tmp_path: Path) -> None:
    square = torch.randn(F, F)
    weight, note = read_adapter(saved({"fc.weight": square}, tmp_path), F)
    assert torch.equal(weight, square) and note == "fc.weight is square: its rows are taken for the classes"


BAD_ADAPTERS: dict[str, tuple[Any, str]] = {
    "another width": ({"fc.weight": torch.ones(C, F + 1)}, "has shape (5, 13); a classifier of C >= 2 classes on"),
    "one dimension": ({"fc.weight": torch.ones(F)}, "has shape (12,)"),
    "three dimensions": ({"fc.weight": torch.ones(1, C, F)}, "has shape (1, 5, 12)"),
    "a number": (torch.tensor(1.0), "the tensor has shape ()"),
    "one class": ({"fc.weight": torch.ones(1, F)}, "has shape (1, 12)"),
    "no class": ({"fc.weight": torch.ones(0, F)}, "has shape (0, 12)"),
    "nan": ({"fc.weight": torch.full((C, F), torch.nan)}, "fc.weight has 60 of 60 values that are not finite"),
    "inf": ({"weight": torch.tensor([[1.0, torch.inf]] * 2)}, "weight has 2 of 4 values that are not finite"),
    "beyond float32": ({"weight": torch.full((C, F), 1e300, dtype=torch.float64)}, "not finite in float32"),
    "integers": ({"fc.weight": torch.ones(C, F, dtype=torch.long)}, "is a torch.strided tensor of torch.int64"),
    "sparse": ({"fc.weight": torch.eye(F).to_sparse()}, "is a torch.sparse_coo tensor"),
    "with a bias": (nn.Linear(F, C).state_dict(), "holds 2 tensors (bias, weight); exactly one, fc.weight"),
    "no tensor": ({"epoch": 3}, "holds no tensor"),
    "empty": ({}, "holds no tensor"),
    "a list": ([WEIGHT], "holds a list, neither a tensor nor a state dict"),
    "another entry": ({"fc.running_mean": WEIGHT}, "holds fc.running_mean; fc.weight or weight is wanted"),
}


@pytest.mark.filterwarnings("ignore:Validating sparse")
@pytest.mark.parametrize("case", BAD_ADAPTERS)
def test_what_is_no_adapter_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    content, message = BAD_ADAPTERS[case]
    path = saved(content, tmp_path)
    with pytest.raises(ValueError) as caught:
        read_adapter(path, F)
    assert message in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_an_adapter_is_written_in_the_released_form_and_read_back_exactly(tmp_path: Path) -> None:
    write_adapter(WEIGHT.t().contiguous().t().double(), tmp_path / "new" / "adapter.pt")
    content = torch.load(tmp_path / "new" / "adapter.pt", weights_only=True)
    assert list(content) == ["fc.weight"] and content["fc.weight"].dtype == torch.float32
    assert torch.equal(read_adapter(tmp_path / "new" / "adapter.pt", F)[0], WEIGHT)


def test_a_whole_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="could run code"):
        read_adapter(saved(nn.Linear(F, C, bias=False), tmp_path), F)
