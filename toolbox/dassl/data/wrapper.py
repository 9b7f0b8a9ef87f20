"""Images with their labels as items that a loader can batch."""

from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image
from torch.utils.data import Dataset
from torchvision import transforms as T  # type: ignore[import-untyped]
from yacs.config import CfgNode

from dassl.data.datasets.base_dataset import Datum
from dassl.data.transforms.transforms import INTERPOLATION_MODES
from dassl.utils.images import read_image

Transform = Callable[[Image.Image], Any]
Transforms = Transform | Sequence[Transform] | None


class DatasetWrapper(Dataset[dict[str, Any]]):
    """Images as dictionaries of label, domain, impath, index and img, which the default collate can batch.

    Args:
        cfg: The configuration.
        data_source: The images.
        transform: One transform, or several, whose results are called img, img2, img3... None leaves a PIL image.
        is_train: Whether DATALOADER.K_TRANSFORMS counts: above 1, each result is a list of that many draws.

    Raises:
        ValueError: If several draws are asked for without a transform.
    """

    read_image = staticmethod(read_image)  # stored features are told apart by it

    def __init__(
        self, cfg: CfgNode, data_source: Sequence[Datum], transform: Transforms = None, is_train: bool = False
    ) -> None:
        self.cfg = cfg
        self.data_source = data_source
        self.transform = transform  # may be replaced between epochs
        self.is_train = is_train
        self.k_tfm = cfg.DATALOADER.K_TRANSFORMS if is_train else 1
        self.return_img0 = cfg.DATALOADER.RETURN_IMG0
        if self.k_tfm > 1 and transform is None:
            raise ValueError(f"DATALOADER.K_TRANSFORMS is {self.k_tfm}, but there is no transform to apply")
        self.to_tensor = _plain_transform(cfg)

    def __len__(self) -> int:
        return len(self.data_source)

    def __getitem__(self, idx: int) -> dict[str, Any]:
        """Read one image.

        Raises:
            OSError: If the file is missing or damaged; the message names it.
        """
        item = self.data_source[idx]
        output: dict[str, Any] = {
            "label": item.label,
            "domain": item.domain,
            "impath": item.impath,
            "index": idx,
        }
        img0 = self.read_image(item.impath)
        if self.transform is None:
            output["img"] = img0
        elif isinstance(self.transform, (list, tuple)):
            for number, transform in enumerate(self.transform, start=1):
                output["img" if number == 1 else f"img{number}"] = self._apply(transform, img0)
        else:
            output["img"] = self._apply(self.transform, img0)
        if self.return_img0:
            output["img0"] = self.to_tensor(img0)
        return output

    def _apply(self, transform: Any, img0: Image.Image) -> Any:
        draws = [transform(img0) for _ in range(self.k_tfm)]
        return draws[0] if len(draws) == 1 else draws


def _plain_transform(cfg: CfgNode) -> Transform:
    """Return the transform of img0: exact size, tensor, normalised if the configuration normalises."""
    mode = INTERPOLATION_MODES[cfg.INPUT.INTERPOLATION]
    steps: list[Any] = [T.Resize(tuple(cfg.INPUT.SIZE), interpolation=mode), T.ToTensor()]
    if "normalize" in cfg.INPUT.TRANSFORMS:
        steps.append(T.Normalize(mean=list(cfg.INPUT.PIXEL_MEAN), std=list(cfg.INPUT.PIXEL_STD)))
    compose: Transform = T.Compose(steps)
    return compose
