"""Few-shot adaptation of CLIP as a library: pictures, tensors and files; no configuration tree, no data set."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from amu_raft.classifier import FewShotClassifier

__version__ = "0.1.0"
__all__ = ["FewShotClassifier", "__version__"]


def __getattr__(name: str) -> Any:
    """Find the classifier when it is first asked for: torch and scikit-learn take seconds to import."""
    if name == "FewShotClassifier":
        try:
            from amu_raft.classifier import FewShotClassifier
        except ModuleNotFoundError as error:
            from amu_raft.errors import remedy

            raise ModuleNotFoundError(f"{error}{remedy(error)}", name=error.name) from error
        return FewShotClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
