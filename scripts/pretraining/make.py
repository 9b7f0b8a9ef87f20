"""Make both tiny encoders: ``python -m scripts.pretraining.make [--short] [--out DIR] [--seed N]``."""

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from amu_raft.backbones.state_files import BUNDLED
from scripts.pretraining.packing import packed, write_atomically, write_manifest
from scripts.pretraining.tiny_aux import AuxBudget, train_tiny_aux
from scripts.pretraining.tiny_clip import ClipBudget, train_tiny_clip

CLIP_FILE, AUX_FILE = "tiny_clip.pt", "tiny_aux.pt"
SHORT_FOLDER = Path("output/pretraining_short")
SHORT_CLIP = ClipBudget(text_steps=150, samples=19_200, pool=6_400)
SHORT_AUX = AuxBudget(samples=5_120, pool=2_048)


@dataclass(frozen=True)
class Made:
    """What a run left behind.

    Attributes:
        folder: Where the weight files and their manifest are.
        losses: Loss of each step, by what was trained: "text", "visual", "aux".
    """

    folder: Path
    losses: dict[str, list[float]]


def make(folder: Path, *, seed: int, short: bool = False) -> Made:
    """Train both encoders and write them with their manifest.

    Args:
        folder: Where to write; made if missing.
        seed: Decides images, first weights and order, 0 or more.
        short: Train for seconds instead of minutes, for a check that all parts work.

    Raises:
        ValueError: If the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed must be at least 0, not {seed}")
    folder.mkdir(parents=True, exist_ok=True)
    clip_budget, aux_budget = (SHORT_CLIP, SHORT_AUX) if short else (ClipBudget(), AuxBudget())
    command = f"python -m scripts.pretraining.make --seed {seed}{' --short' if short else ''}"
    clip = train_tiny_clip(clip_budget, seed=seed)
    aux = train_tiny_aux(aux_budget, seed=seed)
    about = {"made_by": command, "seed": seed, "torch": torch.__version__}
    entries = {
        CLIP_FILE: {**_write(folder / CLIP_FILE, clip.state), **about, **asdict(clip_budget)},
        AUX_FILE: {**_write(folder / AUX_FILE, aux.state), **about, **asdict(aux_budget)},
    }
    write_manifest(folder, entries)
    return Made(folder, {"text": clip.text_losses, "visual": clip.visual_losses, "aux": aux.losses})


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.pretraining.make", description="Make the bundled tiny encoders."
    )
    parser.add_argument("--short", action="store_true", help="train for seconds, to see that all parts work")
    parser.add_argument(
        "--out", type=Path, help=f"folder to write to (default: amu_raft/weights; short: {SHORT_FOLDER})"
    )
    parser.add_argument("--seed", type=int, default=0, help="decides images, first weights and order (default: 0)")
    options = parser.parse_args(arguments)
    if options.seed < 0:
        parser.error(f"--seed must be at least 0, not {options.seed}")
    made = make(options.out or (SHORT_FOLDER if options.short else BUNDLED), seed=options.seed, short=options.short)
    for part, losses in made.losses.items():
        print(f"{part}: loss {losses[0]:.3f} -> {losses[-1]:.3f} in {len(losses)} steps")
    print(f"wrote {CLIP_FILE}, {AUX_FILE} and the manifest to {made.folder}")


def _write(path: Path, state: Mapping[str, Tensor]) -> dict[str, Any]:
    content = packed(state)
    write_atomically(path, content)
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


if __name__ == "__main__":
    main()
