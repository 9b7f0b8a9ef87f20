"""FGVC-Aircraft: 100 variants of aircraft, a hundred photographs of each."""

from pathlib import Path

from amu_raft.images.list_file import read_list
from amu_raft.images.listing import SPLIT_NAMES
from dassl.data.datasets import DATASET_REGISTRY
from datasets.coop_layout import CoopDataset
from datasets.split_file import Row, Split, existing_items


@DATASET_REGISTRY.register()
class FGVCAircraft(CoopDataset):
    """FGVC-Aircraft in CoOp's layout, the archive's folder ``data`` renamed: its own lists are the split."""

    dataset_dir = "fgvc_aircraft"
    image_folder = "images"
    templates = ("a photo of a {}, a type of aircraft.",)
    prompt_file = "fgvc_prompt.json"

    @classmethod
    def read_rows(cls, folder: Path) -> dict[str, list[Row]]:
        """List the images of ``images_variant_{train,val,test}.txt``; labels are the lines of ``variants.txt``.

        Raises:
            FileNotFoundError: If a list is missing.
            ValueError: If one is damaged or names a variant that is none.
        """
        variants = read_list(cls.published_file(folder, "variants.txt"), str, form="a variant")
        label_of = {variant: label for label, variant in enumerate(variants)}

        def parse(line: str) -> Row:
            image, variant = line.split(maxsplit=1)
            return Row(str(folder / cls.image_folder / f"{image}.jpg"), label_of[variant], variant)

        form = "'<image> <variant>' with a variant of variants.txt"
        return {
            name: read_list(cls.published_file(folder, f"images_variant_{name}.txt"), parse, form=form)
            for name in SPLIT_NAMES
        }

    def load_split(self) -> Split:
        """Read the published lists; there is no split file to make or write."""
        folder = Path(self.dataset_dir)
        return existing_items(self.read_rows(folder), listed_in=folder / "images_variant_*.txt")
