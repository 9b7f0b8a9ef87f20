"""RAFT."""
