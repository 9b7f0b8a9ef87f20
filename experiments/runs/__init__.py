"""A run from its command line to its record: configuration, result.json, messages."""
