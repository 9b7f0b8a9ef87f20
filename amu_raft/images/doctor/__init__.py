"""Examine own pictures before anything is trained on them."""
