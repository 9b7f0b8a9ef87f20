"""A model from pictures and labels, without a run: settings, encoding, a plain loop, choices, calibration."""
