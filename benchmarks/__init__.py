"""Timings of this project's own code."""
