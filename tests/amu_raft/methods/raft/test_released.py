from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from amu_raft.methods.raft.region_attention import RegionAttention
from amu_raft.methods.raft.released import read_attention_pool, write_attention_pool
from tests.amu_raft.methods.weight_files import from_cuda, saved


class Pool(nn.Module):
    num_heads = 2

    def __init__(self) -> None:
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.randn(5, 8))
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(8, 8) for _ in range(3))
        self.c_proj = nn.Linear(8, 6)


torch.manual_seed(0)
STATE = {name: value.half().float() for name, value in RegionAttention(Pool()).state_dict().items()}
SHAPES = {name: tuple(value.shape) for name, value in STATE.items()}
NET = {f"attnpool.{name}": value.half() for name, value in STATE.items()}
RELEASED = {"net": NET, "optimizer": None, "epoch": 0, "lr_scheduler": None}


def prefixed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize(
    "content",
    [
        RELEASED,
        NET,
        STATE,
        {"net": STATE},
        {"net": prefixed(NET, "module.")},
        prefixed(STATE, "module."),
        {"state_dict": STATE, "epoch": 50, "optimizer": None},
        {"state_dict": {"net": NET}},
        {name: nn.Parameter(value.double()) for name, value in STATE.items()},
    ],
    ids=["released", "net", "bare", "net bare", "net module", "module", "run", "nested", "double parameters"],
)
def test_every_form_of_an_attention_pooling(content: Any, tmp_path: Path) -> None:
    state = read_attention_pool(saved(content, tmp_path), SHAPES)
    assert set(state) == set(STATE) and all(torch.equal(state[name], STATE[name]) for name in STATE)
    assert all(value.dtype == torch.float32 and not value.requires_grad for value in state.values())
    RegionAttention(Pool()).load_state_dict(state)


def test_an_attention_pooling_saved_from_cuda(tmp_path: Path) -> None:
    path = from_cuda(saved(RELEASED, tmp_path), tmp_path / "cuda.pt")
    assert torch.equal(read_attention_pool(path, SHAPES)["c_proj.weight"], STATE["c_proj.weight"])


def without(name: str) -> dict[str, Tensor]:
    return {key: value for key, value in NET.items() if key != f"attnpool.{name}"}


BAD_POOLINGS: dict[str, tuple[Any, str]] = {
    **{f"no {name}": ({"net": without(name)}, f"no entry {name}") for name in SHAPES},
    "unexpected": ({"net": {**NET, "attnpool.scale": torch.ones(1)}}, "unexpected scale"),
    "another layer": ({"net": {**NET, "visual.proj": torch.ones(1)}}, "unexpected visual.proj"),
    "twice": ({"net": {**NET, "c_proj.bias": torch.ones(6)}}, "has c_proj.bias twice, once as c_proj.bias"),
    "CLIP's own rows": (
        {"net": {**NET, "attnpool.positional_embedding": torch.ones(5, 8)}},
        "positional_embedding has shape (5, 8), the backbone's pooling needs (6, 8)",
    ),
    "transposed": ({"net": {**NET, "attnpool.c_proj.weight": torch.ones(8, 6)}}, "c_proj.weight has shape (8, 6)"),
    "nan": ({"net": {**NET, "attnpool.q_proj.bias": torch.full((8,), torch.nan)}}, "q_proj.bias has 8 of 8 values"),
    "no tensor": ({"net": {**NET, "attnpool.q_proj.bias": None}}, "q_proj.bias is a NoneType, not a dense tensor"),
    "integers": ({"net": {**NET, "attnpool.q_proj.bias": torch.ones(8).long()}}, "of torch.int64"),
    "a tensor": (torch.ones(5, 12), "holds a Tensor, not the entries of an attention pooling"),
    "a list": ([1], "holds a list"),
    "empty": ({}, "no entry c_proj.bias, c_proj.weight, k_proj.bias"),
    "an adapter": ({"fc.weight": torch.ones(5, 12)}, "no entry"),
}


@pytest.mark.parametrize("case", BAD_POOLINGS)
def test_what_is_no_such_pooling_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    content, message = BAD_POOLINGS[case]
    path = saved(content, tmp_path)
    with pytest.raises(ValueError) as caught:
        read_attention_pool(path, SHAPES)
    assert message in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_pooling_is_written_in_the_released_form(tmp_path: Path) -> None:
    write_attention_pool(STATE, tmp_path / "checkpoint.pth")
    content = torch.load(tmp_path / "checkpoint.pth", weights_only=True)
    assert {key: value for key, value in content.items() if key != "net"} == {
        "optimizer": None,
        "epoch": 0,
        "lr_scheduler": None,
    }
    names = [f"{letter}_proj.{kind}" for letter in "kqvc" for kind in ("weight", "bias")]
    assert set(content["net"]) == {"attnpool.positional_embedding", *(f"attnpool.{name}" for name in names)}
    assert all(value.dtype == torch.float16 for value in content["net"].values())
    read = read_attention_pool(tmp_path / "checkpoint.pth", SHAPES)
    assert all(torch.equal(read[name], STATE[name]) for name in STATE)  # they were halves before


def test_what_float16_cannot_hold_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"c_proj\.bias has values that float16, the released form, cannot hold"):
        write_attention_pool({**STATE, "c_proj.bias": torch.full((6,), 1e6)}, tmp_path / "checkpoint.pth")
    assert list(tmp_path.iterdir()) == []
