"""Reference numbers of few-shot methods, recomputed with the rooms of ``amu_raft.methods``: one module, one file.

A group gets a fixture and yields key and value; tests/golden.py compares. Sizes, runs and cases are read from the
fixture's keys, so that a set of other sizes needs no other code.
"""

from tests.golden_methods.gda import gda_classifiers, gda_unseen
from tests.golden_methods.tip_adapter import tip_adapter_cache, tip_adapter_search, tip_adapter_train

METHOD_GROUPS = {
    "tip_adapter": (tip_adapter_cache, tip_adapter_search, tip_adapter_train),
    "gda": (gda_classifiers, gda_unseen),
}
