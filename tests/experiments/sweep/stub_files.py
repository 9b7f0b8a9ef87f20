"""Files by which tests and the trainers in ``stub_trainers`` talk to each other."""

MENDED = "mended"  # a file of this name in the data root lets Failing succeed
STARTED = "started"
