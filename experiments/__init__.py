"""Runs, sweeps and what is made of their results."""
