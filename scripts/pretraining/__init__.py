"""Make the bundled tiny weights from procedural images alone: ``python -m scripts.pretraining.make``."""
