"""Image transforms from the configuration."""

from dassl.data.transforms.transforms import INTERPOLATION_MODES, build_transform, transform_steps, usual_input

__all__ = ["INTERPOLATION_MODES", "build_transform", "transform_steps", "usual_input"]
