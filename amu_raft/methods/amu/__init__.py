"""AMU-Tuning."""
