from collections.abc import Callable
from pathlib import Path

import pytest

from tests.empty_images import write_image


@pytest.fixture
def make_image() -> Callable[[Path], str]:
    return write_image
