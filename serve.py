"""python -m serve: a trained model as a web page and a REST interface on this machine."""

import sys

from amu_raft.serve.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
