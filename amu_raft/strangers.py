"""Modules of other people, which register methods of their own: imported only because a user names them."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType


def import_modules(names: Iterable[str]) -> list[ModuleType]:
    """Import modules by name or by the path of a file; the working folder is looked into last.

    Args:
        names: Such as "my_method", "package.module" or "methods/my_method.py".

    Raises:
        ImportError: If one is not there, or fails; the message names it.
    """
    return [_import_file(Path(name).expanduser()) if _is_file(name) else _import_name(name) for name in names]


def import_flags(modules: Iterable[str]) -> list[str]:
    """Return the flags by which a later command imports the same modules."""
    return [word for module in modules for word in ("--import", module)]


def _in_one_line(name: object, error: Exception) -> str:
    return f"--import {name}: {type(error).__name__}: {' '.join(str(error).split())}"


def _is_file(name: str) -> bool:
    return name.endswith(".py") or os.sep in name


def _import_name(name: str) -> ModuleType:
    here = str(Path.cwd())
    if not {here, ""} & set(sys.path):
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise ImportError(_in_one_line(name, error)) from error


def _import_file(path: Path) -> ModuleType:
    """Import a file once, under its stem, by which worker processes and pickles find it again."""
    known = sys.modules.get(path.stem)
    if known is not None and (file := getattr(known, "__file__", None)) and Path(file) == path.resolve():
        return known
    if known is not None or path.stem in sys.builtin_module_names:
        raise ImportError(f"--import {path}: a module {path.stem!r} is loaded already; give the file another name")
    spec = importlib.util.spec_from_file_location(path.stem, path.resolve()) if path.is_file() else None
    if spec is None or spec.loader is None:
        raise ImportError(f"--import {path}: no such Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[path.stem]
        raise ImportError(_in_one_line(path, error)) from error
    return module
