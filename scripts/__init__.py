"""Reproducible jobs: one short script each."""
