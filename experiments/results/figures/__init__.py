"""Figures: plain data in, a matplotlib Figure out, one module per plot; no state outside the figure."""
