"""Model folders that were written before methods had a contract still say what they said.

Their probabilities were computed by the code of the commit that their model-info.json names.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from amu_raft.methods import get_method
from amu_raft.model.model_folder import WEIGHTS_FILE, load_model_folder, write_model_folder
from amu_raft.model.model_info import INFO_FILE

FOLDERS = Path(__file__).parents[2] / "data" / "model_folders"
# RAFT's is one of half precision, whose convolutions round as the processor does.
TOLERANCES = {"AMU": 1e-5, "RAFT": 1e-3, "ZeroshotCLIP": 1e-5}


def drawn(number: int) -> Image.Image:
    """A bar, a seven and a disc, 64, 80 and 96 pixels wide; whole numbers alone, so the same pixels everywhere."""
    rows, columns = np.mgrid[0:64, 0 : 64 + 16 * number]
    bright = (
        abs(columns - 32) < 7,
        (abs(rows - columns) < 6) | (abs(rows - 14) < 5),
        (rows - 32) ** 2 + (columns - 40) ** 2 < 500,
    )
    grey = np.where(bright[number], 225 - rows, 10 + columns // 4)
    return Image.fromarray(np.stack([grey] * 3, axis=-1).astype(np.uint8))


@pytest.mark.parametrize("method", TOLERANCES)
def test_probabilities_are_those_of_before(method: str) -> None:
    model, info = load_model_folder(FOLDERS / method)
    assert info.method == method and type(model.method) is get_method(method)
    scores = model(torch.stack([info.recipe.pixels(drawn(number)) for number in range(3)]))
    expected = torch.tensor(json.loads((FOLDERS / "probabilities.json").read_text())[method])
    torch.testing.assert_close(model.probabilities(scores), expected, atol=TOLERANCES[method], rtol=0)


@pytest.mark.parametrize("method", TOLERANCES)
def test_folders_are_written_as_before(method: str, tmp_path: Path) -> None:
    """Byte for byte, so that older versions of this project read what is written today."""
    write_model_folder(*load_model_folder(FOLDERS / method), tmp_path)
    for name in (INFO_FILE, WEIGHTS_FILE):
        assert (tmp_path / name).read_bytes() == (FOLDERS / method / name).read_bytes(), name
