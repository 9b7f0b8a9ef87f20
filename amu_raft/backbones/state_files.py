"""Weight files: read without running code that they may carry, written whole or not at all."""

import hashlib
import json
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from amu_raft.whole_file import write_whole

BUNDLED = Path(__file__).parents[1] / "weights"


def sha256_of(path: Path | str) -> str:
    """Return the sha256 of a file as 64 hexadecimal digits, read in blocks."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def load_state_file(path: Path | str, *, what: str = "weights", torchscript: bool = False) -> Any:
    """Load a safetensors, torch or TorchScript file onto the CPU.

    TorchScript archives are programs in torch's own small language, and reading one may run them. They are refused
    unless the caller expects one, as for CLIP, which OpenAI publishes so; then they are reduced to their state dict.

    Args:
        path: The file.
        what: Noun for messages, such as "CLIP weights".
        torchscript: Whether the file may be a TorchScript archive.

    Returns:
        What the file holds: a mapping of names to tensors, possibly nested, or a bare tensor.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged or holds objects other than tensors and plain containers.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no {what} at {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if _is_torchscript(path):
            return _torchscript_state(path) if torchscript else _refuse_program()
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{what} {path} holds more than tensors, which is not loaded because it could run code; "
            "re-save its state dict with torch.save or safetensors"
        ) from error
    # The readers meet damage in many ways: BadZipFile, struct.error, TypeError, UnicodeDecodeError and more.
    except Exception as error:
        raise ValueError(f"{what} {path} cannot be read: damaged, or no torch or safetensors file") from error


def save_state_file(content: Any, path: Path | str) -> None:
    """Write tensors in plain containers by torch.save; the file appears whole or not at all.

    Raises:
        OSError: If the folder cannot be made or written to.
    """
    write_whole(path, lambda stream: torch.save(content, stream))


def _refuse_program() -> None:
    """Refuse a program in the way in which torch refuses a pickle that carries one."""
    raise pickle.UnpicklingError("a TorchScript archive")


def _torchscript_state(path: Path) -> dict[str, torch.Tensor]:
    """Read the state dict of a TorchScript archive; torch has no other reader for the form OpenAI publishes in."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.load.*deprecated", category=FutureWarning)
        state: dict[str, torch.Tensor] = torch.jit.load(str(path), map_location="cpu").state_dict()
    return state


def _is_torchscript(path: Path) -> bool:
    """Tell a TorchScript archive, a zip file that holds code, from a torch.save file."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("constants.pkl") for name in archive.namelist())


def bundled_weights(name: str) -> Path:
    """Return the path of a weight file shipped with the project, after checking its sha256.

    Args:
        name: File name under ``amu_raft/weights``, such as "tiny_clip.pt".

    Raises:
        ValueError: If the manifest has no such file or the checksum differs.
        FileNotFoundError: If the file is missing.
    """
    manifest = json.loads((BUNDLED / "manifest.json").read_text())
    if name not in manifest:
        raise ValueError(f"no bundled weights {name!r}; available: {', '.join(sorted(manifest))}")
    path = BUNDLED / name
    if not path.is_file():
        raise FileNotFoundError(f"bundled weights {path} are missing; restore them with git checkout")
    found = sha256_of(path)
    if found != manifest[name]["sha256"]:
        raise ValueError(
            f"bundled weights {path} have sha256 {found}, expected {manifest[name]['sha256']}; "
            "restore them with git checkout"
        )
    return path
