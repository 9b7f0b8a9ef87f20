from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from datasets.shape_rendering import draw_shape
from datasets.shapes import Shapes


def test_ninety_of_each_half_for_testing(make_cfg: Callable[..., Any], tmp_path: Path) -> None:
    data = Shapes(make_cfg(tmp_path))
    assert data.num_classes == 12 and data.classnames[:2] == ["circle", "square"]
    for part, count in ((data.train_x, 27), (data.val, 18), (data.test, 45)):
        assert Counter(item.label for item in part or ()) == dict.fromkeys(range(12), count)
    assert len({item.impath for part in (data.train_x, data.val, data.test) for item in part or ()}) == 1080
    item = (data.test or ())[-1]
    image = Image.open(item.impath)
    assert image.size == (64, 64) and image.mode == "RGB"
    assert image.tobytes() == draw_shape(item.classname, int(Path(item.impath).stem), size=64, seed=0).tobytes()


def test_the_classes_are_those_that_can_be_drawn() -> None:
    from datasets.outlines import SHAPE_NAMES
    from datasets.shapes import Shapes

    assert Shapes.names == SHAPE_NAMES
