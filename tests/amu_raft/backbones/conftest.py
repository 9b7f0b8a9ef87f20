import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn


@pytest.fixture(scope="session")
def tiny_state(tiny_clip: Any) -> dict[str, Tensor]:
    """The state dict of the plain tiny CLIP; not to be changed."""
    state: dict[str, Tensor] = tiny_clip().state_dict()
    return state


class OpenAIArchive(nn.Module):
    """What OpenAI publishes: a model with three extra numbers among its buffers, in half precision."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        for name, child in model.named_children():
            self.add_module(name, child)
        for name, parameter in model.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, number in (("input_resolution", 64), ("context_length", 77), ("vocab_size", 49408)):
            self.register_buffer(name, torch.tensor(number))

    def forward(self, images: Tensor) -> Tensor:
        visual: Any = self.visual
        features: Tensor = visual(images)
        return features


@pytest.fixture(scope="session")
def openai_archive(tiny_clip: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A traced TorchScript archive in OpenAI's layout."""
    path = tmp_path_factory.mktemp("archive") / "clip.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(OpenAIArchive(tiny_clip()).eval(), torch.zeros(1, 3, 64, 64))
        torch.jit.save(traced, str(path))
    return path
