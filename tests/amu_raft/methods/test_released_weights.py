import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from amu_raft.methods.raft.region_attention import RegionAttention
from amu_raft.methods.released_weights import read_adapter, read_attention_pool, write_adapter, write_attention_pool

C, F = 5, 12
WEIGHT = torch.randn(C, F, generator=torch.Generator().manual_seed(0))


class RunsCode:
    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> Any:
        return Path.touch, (self.trap,)


def saved(content: Any, tmp_path: Path) -> Path:
    torch.save(content, tmp_path / "w.pt")
    return tmp_path / "w.pt"


# ------------------------------------------------------------------------------------------------------- adapters

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


def from_cuda(path: Path, target: Path) -> Path:
    """Rewrite a torch file as if its tensors had been saved from a graphics card; machines without one can read it."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as copy:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith("data.pkl"):
                changed = content.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
                assert changed != content
                content = changed
            copy.writestr(name, content)
    return target


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


# ---------------------------------------------------------------------------------------------- attention poolings


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
    "a tensor": (WEIGHT, "holds a Tensor, not the entries of an attention pooling"),
    "a list": ([1], "holds a list"),
    "empty": ({}, "no entry c_proj.bias, c_proj.weight, k_proj.bias"),
    "an adapter": ({"fc.weight": WEIGHT}, "no entry"),
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


# ------------------------------------------------------------------------------------------------------- hostile


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kind", ["adapter", "pooling", "whole"])
def test_code_is_refused_and_does_not_run(kind: str, zipped: bool, tmp_path: Path) -> None:
    trap = RunsCode(tmp_path / "trap")
    content = {"adapter": {"fc.weight": WEIGHT, "x": trap}, "pooling": {**RELEASED, "optimizer": trap}, "whole": trap}
    torch.save(content[kind], tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    for read in (lambda: read_adapter(tmp_path / "w.pt", F), lambda: read_attention_pool(tmp_path / "w.pt", SHAPES)):
        with pytest.raises(ValueError, match="holds more than tensors, which is not loaded because it could run code"):
            read()
    assert not (tmp_path / "trap").exists()


def test_a_whole_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="could run code"):
        read_adapter(saved(nn.Linear(F, C, bias=False), tmp_path), F)


def damaged(tmp_path: Path) -> dict[str, bytes]:
    whole = saved(RELEASED, tmp_path).read_bytes()
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "no weights")
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:  # looks like TorchScript
        archive.writestr("a/constants.pkl", b"cos\nsystem\n(S'touch trap'\ntR.")
        archive.writestr("a/data.pkl", b"cos\nsystem\n(S'touch trap'\ntR.")
        archive.writestr("a/version", b"3\n")
    return {
        "truncated": whole[: len(whole) // 2],
        "cut at the end": whole[:-1],
        "another zip": (tmp_path / "other.zip").read_bytes(),
        "zip with code": (tmp_path / "code.zip").read_bytes(),
        "text": json.dumps({"fc.weight": 1}).encode(),
        "nothing": b"",
    }


@pytest.mark.parametrize("case", ["truncated", "cut at the end", "another zip", "zip with code", "text", "nothing"])
def test_damaged_files_are_refused_in_one_line(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pt").write_bytes(damaged(tmp_path)[case])
    for read in (lambda: read_adapter(tmp_path / "w.pt", F), lambda: read_attention_pool(tmp_path / "w.pt", SHAPES)):
        with pytest.raises(ValueError, match=r"w\.pt (cannot be read: damaged|holds more than tensors)") as caught:
            read()
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "trap").exists()


def test_a_missing_file(tmp_path: Path) -> None:
    for read in (lambda: read_adapter(tmp_path / "w.pt", F), lambda: read_attention_pool(tmp_path / "w.pt", SHAPES)):
        with pytest.raises(FileNotFoundError, match=r"no (adapter|checkpoint) at .*w\.pt"):
            read()
