"""SUN397: 397 scenes; the first of its published partitions uses 39,700 of the 108,754 images."""

from pathlib import Path

from amu_raft.images.list_file import read_list
from dassl.data.datasets import DATASET_REGISTRY, Datum
from datasets.coop_layout import CoopDataset
from datasets.split_file import Row, Split, existing_part, split_trainval


@DATASET_REGISTRY.register()
class SUN397(CoopDataset):
    """SUN397 in CoOp's layout: images lie in SUN397/<letter>/<scene>/ or SUN397/<letter>/<scene>/<indoor, ...>/."""

    dataset_dir = "sun397"
    image_folder = "SUN397"
    split_file = "split_zhou_SUN397.json"
    templates = ("a photo of a {}.",)
    prompt_file = "sun397_prompt.json"

    @classmethod
    def make_split(cls, folder: Path) -> Split:
        """Make the split from the first partition: its test part, and 80/20 of its training part for train and val."""
        scenes = read_list(cls.published_file(folder, "ClassName.txt"), scene_folder, form="'/<letter>/<scene>'")
        label_of = {scene: label for label, scene in enumerate(scenes)}
        test = cls.read_partition(folder, "Testing_01.txt", label_of)
        train, val = split_trainval(cls.read_partition(folder, "Training_01.txt", label_of))
        return Split(train, val, test)

    @classmethod
    def read_partition(cls, folder: Path, name: str, label_of: dict[str, int]) -> list[Datum]:
        """Read lines "/<letter>/<scene>/<image>".

        Raises:
            FileNotFoundError: If the list or an image in it is missing.
            ValueError: If a line does not fit or its scene is not in ``label_of``.
        """

        def parse(line: str) -> Row:
            scene, image = line.rsplit("/", 1)
            path = str(Path(folder, cls.image_folder, scene[1:], image))
            return Row(path, label_of[scene], scene_name(scene))

        path = cls.published_file(folder, name)
        rows = read_list(path, parse, form="'/<letter>/<scene>/<image>' with a scene of ClassName.txt")
        return existing_part(rows, listed_in=path)


def scene_folder(line: str) -> str:
    """Return the scene's folder as the lists write it, "/a/apse/indoor".

    Raises:
        ValueError: If the line does not name one.
    """
    start, letter, *words = line.split("/")
    if start or not letter or not words or not all(words):
        raise ValueError(f"{line!r} names no scene")
    return line


def scene_name(scene: str) -> str:
    """Return the class name of a scene's folder, the general word last: "indoor apse" for "/a/apse/indoor"."""
    return " ".join(reversed(scene.split("/")[2:]))
