"""A trained model: its folder, its probabilities, its pixels."""
