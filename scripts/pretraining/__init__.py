"""Make the bundled tiny weights from procedural images alone: ``python -m pretraining.make``."""
