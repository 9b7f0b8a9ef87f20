"""A trained model in forms that need neither torch nor this project."""
