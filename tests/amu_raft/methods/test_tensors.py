import pytest
import torch
from torch import nn

from amu_raft.methods.tensors import bound_sizes, follow_loaded_shapes

SHAPES = {"fc.weight": "C F", "bias": "C"}


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 3, bias=False)
        self.register_buffer("bias", torch.zeros(3))
        self.register_buffer("fixed", torch.zeros(3))


def state(rows: int, width: int = 2, *, fixed: int = 3) -> dict[str, torch.Tensor]:
    return {"fc.weight": torch.ones(rows, width), "bias": torch.ones(rows), "fixed": torch.ones(fixed)}


def test_what_is_loaded_decides_the_shape_and_the_optimiser_keeps_hold() -> None:
    layer = Layer().half()
    follow_loaded_shapes(layer, SHAPES)
    weight = layer.fc.weight
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    layer.load_state_dict(state(7, 5))
    assert layer.fc.weight is weight is optimizer.param_groups[0]["params"][0]
    assert weight.shape == (7, 5) and weight.dtype == torch.float16 and float(weight.detach().sum()) == 35
    assert layer.bias.shape == (7,) and layer.bias.dtype == torch.float16
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert float(layer.fc.weight.detach().sum()) == 0
    layer.load_state_dict(state(3))
    assert weight.shape == (3, 2) and list(layer.state_dict()) == ["bias", "fixed", "fc.weight"]


def test_the_same_shape_is_filled_in_place() -> None:
    layer = Layer()
    follow_loaded_shapes(layer, SHAPES)
    place = layer.fc.weight.data_ptr()
    layer.load_state_dict(state(3))
    assert layer.fc.weight.data_ptr() == place


def test_other_tensors_and_other_dimensions_are_refused_as_ever() -> None:
    layer = Layer()
    follow_loaded_shapes(layer, SHAPES)
    with pytest.raises(RuntimeError, match="size mismatch for fixed"):
        layer.load_state_dict(state(3, fixed=4))
    with pytest.raises(RuntimeError, match=r"size mismatch for fc\.weight"):
        layer.load_state_dict({**state(3), "fc.weight": torch.ones(3, 2, 1)})
    with pytest.raises(RuntimeError, match="Missing key"):
        layer.load_state_dict({"bias": torch.ones(4)})


def test_inside_another_module() -> None:
    layer = Layer()
    follow_loaded_shapes(layer, SHAPES)
    whole = nn.ModuleDict({"inner": layer})
    whole.load_state_dict({f"inner.{name}": value for name, value in state(5).items()})
    assert layer.fc.weight.shape == (5, 2)


def test_sizes_behind_letters() -> None:
    layer = Layer()
    assert bound_sizes(layer, SHAPES, {}) == {"C": 3, "F": 2}
    assert bound_sizes(layer, SHAPES, {"F": 2, "D": 9}) == {"C": 3, "F": 2, "D": 9}
    with pytest.raises(ValueError, match=r"^fc\.weight has shape \(3, 2\); \(C, F\) = \(3, 4\) is wanted$"):
        bound_sizes(layer, SHAPES, {"F": 4})
    layer.bias = torch.zeros(4)
    with pytest.raises(ValueError, match=r"^bias has shape \(4,\); \(C\) = \(3,\) is wanted$"):
        bound_sizes(layer, SHAPES, {})


def test_one_letter_may_stand_twice() -> None:
    layer = Layer()
    layer.fixed = torch.zeros(3, 4)
    with pytest.raises(ValueError, match=r"fixed has shape \(3, 4\); \(C, C\) = \(3, 3\) is wanted"):
        bound_sizes(layer, {"fixed": "C C"}, {})
