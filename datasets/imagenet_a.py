"""ImageNet-A (adversarial): photographs that classifiers get wrong, of 200 classes."""

from dassl.data.datasets import DATASET_REGISTRY
from datasets.imagenet_variant import ImageNetVariant


@DATASET_REGISTRY.register()
class ImageNetA(ImageNetVariant):
    """ImageNet-A in CoOp's layout: ROOT/imagenet-adversarial/imagenet-a/<wnid>/, its wnids labelled from 0."""

    dataset_dir = "imagenet-adversarial"
    image_folder = "imagenet-a"
