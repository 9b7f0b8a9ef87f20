"""The installed ``clip`` package: OpenAI's, its registry distribution, or a checkout of the user's.

``clip_model`` holds the networks and ``clip`` the tokenizer. The latter brings torchvision along, two seconds that only
texts need, so it is imported when it is first asked for.
"""

import importlib
import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

_NETWORKS = "clip.model"


def __getattr__(name: str) -> Any:
    if name == "clip":
        return _whole_package()
    if name == "clip_model":
        return _networks()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _whole_package() -> ModuleType:
    with warnings.catch_warnings():
        # The registry distribution imports pkg_resources, which warns at every import.
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated", category=UserWarning)
        return importlib.import_module("clip.clip")


def _networks() -> ModuleType:
    """Import the package's model.py alone, under the name by which the whole package would find it later."""
    if _NETWORKS in sys.modules:
        return sys.modules[_NETWORKS]
    package = importlib.util.find_spec("clip")
    folders = list(package.submodule_search_locations or ()) if package is not None else []
    file = next((path for folder in folders if (path := Path(folder) / "model.py").is_file()), None)
    spec = importlib.util.spec_from_file_location(_NETWORKS, file) if file else None
    if spec is None or spec.loader is None:  # packed some other way, or not installed
        _whole_package()
        return importlib.import_module(_NETWORKS)
    module = importlib.util.module_from_spec(spec)
    sys.modules[_NETWORKS] = module
    spec.loader.exec_module(module)
    return module


__all__ = ["clip", "clip_model"]  # noqa: F822  made by __getattr__
