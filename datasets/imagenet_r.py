"""ImageNet-R (rendition): paintings, toys, tattoos and the like of 200 classes."""

from dassl.data.datasets import DATASET_REGISTRY
from datasets.imagenet_variant import ImageNetVariant


@DATASET_REGISTRY.register()
class ImageNetR(ImageNetVariant):
    """ImageNet-R in CoOp's layout: ROOT/imagenet-rendition/imagenet-r/<wnid>/, its wnids labelled from 0."""

    dataset_dir = "imagenet-rendition"
    image_folder = "imagenet-r"
