"""What features depend on beside images and weights, told as JSON: objects such as transforms, and the arithmetic."""

import functools
import hashlib
import inspect
import json
import secrets
import sys
import types
import warnings
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

# The store's keys hold the versions of these, and the standard library does not compute features.
_VERSIONED = frozenset({"torch", "torchvision", "PIL", "numpy", *sys.stdlib_module_names})
_PROCESS = secrets.token_hex(8)
_not_described: dict[int, Any] = {}  # kept, so that no later object takes the number of an earlier one


def describe(value: Any) -> Any:
    """Describe an object by its values and its code, so that two descriptions are equal only if both do the same.

    Values are what pickling would keep. Code counts by its file: an edited transform is another transform. What cannot
    be told by value gets a description that no other object and no other process has, and a warning.

    Args:
        value: A transform, for instance; any object will do.

    Returns:
        JSON.
    """
    return _describe(value, ())


def describe_arithmetic(device: torch.device) -> dict[str, Any]:
    """Describe what decides the last digits of a feature: the processor and how torch was told to use it."""
    about: dict[str, Any] = {"float32": _float32_precisions()}
    if device.type == "cuda":
        return {**about, "device": torch.cuda.get_device_name(device), "cuda": torch.version.cuda}
    vectors = torch.backends.cpu.get_cpu_capability()
    return {**about, "device": device.type, "threads": torch.get_num_threads(), "vectors": vectors}


def _float32_precisions() -> list[str]:
    backends: Any = torch.backends
    if not hasattr(backends.cudnn, "conv"):  # before torch 2.9
        return [torch.get_float32_matmul_precision(), str(backends.cudnn.allow_tf32)]
    settings = (backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv)
    return [str(setting.fp32_precision) for setting in settings]


def _describe(value: Any, around: tuple[int, ...]) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": value.hex()}
    if id(value) in around:
        return {"around": around.index(id(value))}
    inside = (*around, id(value))
    if isinstance(value, Enum):
        return {"class": _name(type(value)), "member": value.name}
    if isinstance(value, Tensor) or (isinstance(value, np.ndarray) and not value.dtype.hasobject):
        return _array(value)
    if type(value) in (list, tuple):
        return [_describe(item, inside) for item in value]
    if type(value) in (set, frozenset):
        return {"set": sorted(json.dumps(_describe(item, inside), sort_keys=True) for item in value)}
    if isinstance(value, Mapping):
        items = [[_describe(key, inside), _describe(item, inside)] for key, item in value.items()]
        return {"class": _name(type(value)), "items": items}
    if isinstance(value, functools.partial):
        return {"partial": _describe([value.func, value.args, value.keywords], inside)}
    if isinstance(value, types.MethodType):
        return {"method": _describe([value.__func__, value.__self__], inside)}
    if isinstance(value, types.FunctionType):
        return _function(value, inside)
    if isinstance(value, (type, types.BuiltinFunctionType)):
        return _named(value)
    return _object(value, inside)


def _object(value: Any, inside: tuple[int, ...]) -> Any:
    try:
        reduced = value.__reduce_ex__(2)  # the protocol of pickling: values wherever a class keeps them
    except Exception:  # whatever an object raises that refuses to be told by its values
        return _unknown(value)
    if isinstance(reduced, str):
        return {**_named(type(value)), "name": reduced}
    parts = [list(part) if hasattr(part, "__next__") else part for part in reduced[1:]]
    return {**_named(type(value)), "values": _describe(parts, inside)}


def _function(value: types.FunctionType, inside: tuple[int, ...]) -> Any:
    code = value.__code__
    bound = [_cell(cell) for cell in value.__closure__ or ()]
    constants = [repr(item) for item in code.co_consts if not isinstance(item, types.CodeType)]
    # The file alone does not tell two lambdas in it apart.
    body = [code.co_firstlineno, code.co_code.hex(), constants, list(code.co_names)]
    return {
        **_named(value),
        "body": body,
        "bound": _describe([bound, value.__defaults__, value.__kwdefaults__], inside),
    }


def _cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that is not bound yet
        return None


def _named(value: Any) -> dict[str, Any]:
    """Describe a class or function by its name, and by the content of its file unless its version is noted anyway."""
    module = value.__module__ or "builtins"
    if module.partition(".")[0] in _VERSIONED and module != "__main__":
        return {"class": _name(value)}
    code = _file_digest(module)
    return {"class": _name(value), "code": _unknown(value) if code is None else code}


@functools.cache
def _file_digest(module: str) -> str | None:
    try:
        source = inspect.getsourcefile(sys.modules[module])
        return hashlib.sha256(Path(source or "").read_bytes()).hexdigest()
    except (KeyError, TypeError, OSError):
        return None


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _array(value: Any) -> dict[str, Any]:
    if isinstance(value, Tensor):
        content = value.detach().cpu().flatten().view(torch.uint8).numpy().tobytes()
    else:
        content = value.tobytes()
    digest = hashlib.sha256(content).hexdigest()
    return {"array": digest, "shape": list(value.shape), "dtype": str(value.dtype)}


def _unknown(value: Any) -> dict[str, Any]:
    if id(value) not in _not_described:
        _not_described[id(value)] = value
        warnings.warn(
            f"{type(value).__name__} {value!r} cannot be told by its values: "
            "features that depend on it are computed anew in every run",
            stacklevel=2,
        )
    return {"unknown": f"{_PROCESS}-{id(value)}"}
