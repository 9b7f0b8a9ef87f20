"""One method, one room."""
