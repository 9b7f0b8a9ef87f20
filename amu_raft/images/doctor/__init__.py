"""Examine own pictures before anything is trained on them."""

SHOTS = 16  # training images per class that a run draws unless told otherwise
