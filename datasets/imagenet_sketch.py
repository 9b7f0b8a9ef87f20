"""ImageNet-Sketch: drawings of ImageNet's 1000 classes."""

from dassl.data.datasets import DATASET_REGISTRY
from datasets.imagenet_variant import ImageNetVariant


@DATASET_REGISTRY.register()
class ImageNetSketch(ImageNetVariant):
    """ImageNet-Sketch in CoOp's layout: ROOT/imagenet-sketch/images/<wnid>/."""

    dataset_dir = "imagenet-sketch"
    image_folder = "images"
