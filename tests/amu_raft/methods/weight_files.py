"""Published weight files, as their authors' machines would write them."""

import zipfile
from pathlib import Path
from typing import Any

import torch


def saved(content: Any, tmp_path: Path) -> Path:
    torch.save(content, tmp_path / "w.pt")
    return tmp_path / "w.pt"


def from_cuda(path: Path, target: Path) -> Path:
    """Rewrite a torch file as if its tensors had been saved from a graphics card; machines without one can read it."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as copy:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith("data.pkl"):
                changed = content.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
                assert changed != content
                content = changed
            copy.writestr(name, content)
    return target
