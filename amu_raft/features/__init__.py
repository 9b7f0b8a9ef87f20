"""Frozen features: extraction, augmented views, batches of them for training."""
