"""Frozen encoders: CLIP, auxiliary encoders, texts, official weights, preprocessing, precision."""
