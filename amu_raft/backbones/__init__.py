"""Models and losses of AMU-Tuning and RAFT in plain torch: no configuration tree, no toolbox."""
