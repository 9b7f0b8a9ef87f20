"""Shapes: twelve shapes drawn by a shaky hand and scanned coarsely, procedural throughout."""

from PIL import Image

from dassl.data.datasets import DATASET_REGISTRY
from datasets.generated_images import GeneratedDataset
from datasets.outlines import SHAPE_NAMES
from datasets.shape_rendering import draw_shape

IMAGES_PER_CLASS = 90
SIZE = 64  # pixels


@DATASET_REGISTRY.register()
class Shapes(GeneratedDataset):
    """Outlined shapes, 90 of each, drawn differently from the images that the bundled CLIP was trained on."""

    dataset_dir = "shapes"
    split_file = "split_zhou_Shapes.json"
    templates = ("a photo of a {}.",)
    names = SHAPE_NAMES

    def draw_class(self, label: int) -> list[tuple[str, Image.Image]]:
        """Return the drawings of a shape; the stem is their number."""
        name = self.names[label]
        return [(f"{index:04d}", draw_shape(name, index, size=SIZE, seed=0)) for index in range(IMAGES_PER_CLASS)]
