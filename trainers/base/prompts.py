"""TRAINER.*.PROMPTS: which sentences stand for the classes of a data set."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yacs.config import CfgNode

from amu_raft.backbones.text_classifier import IMAGENET_TEMPLATES, fill_templates, read_prompt_file

PROMPT_SOURCES = ("templates", "imagenet7", "gpt3")


def check_prompt_source(source: str, templates: Sequence[str] = ()) -> None:
    """Refuse what is neither a name of ``PROMPT_SOURCES`` nor a JSON file, and templates that would not be used.

    Args:
        source: TRAINER.*.PROMPTS.
        templates: DATASET.TEMPLATES.

    Raises:
        ValueError: Naming what is accepted.
    """
    if templates:
        if source != "templates":
            raise ValueError(f"--templates (DATASET.TEMPLATES) goes with PROMPTS templates, but PROMPTS is {source!r}")
        fill_templates((), templates)
    if source not in PROMPT_SOURCES and not source.endswith(".json"):
        raise ValueError(f"unknown PROMPTS {source!r}; choose {', '.join(PROMPT_SOURCES)} or the path of a .json file")


def choose_prompts(source: str, dataset: Any, cfg: CfgNode) -> list[list[str]]:
    """Return the sentences of each class.

    Args:
        source: "templates" are DATASET.TEMPLATES or else the data set's own: its file of sentences if that lies beside
            own images (``has_own_prompts``), or its ``templates``. "imagenet7" are the seven for ImageNet, "gpt3" the
            data set's file of sentences per class; anything else is the path of such a file.
        dataset: A toolbox data set, whoever wrote it.
        cfg: Read for DATASET.TEMPLATES, and DATASET.NAME and DATASET.ROOT for messages.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file lacks a class, or the data set has none.
    """
    classnames = list(dataset.classnames)
    if source == "imagenet7":
        return fill_templates(classnames, IMAGENET_TEMPLATES)
    if source == "templates":
        given: Sequence[str] = getattr(cfg.DATASET, "TEMPLATES", ())
        if not given and getattr(dataset, "has_own_prompts", False):
            print(f"Sentences of each class: {dataset.prompt_path}")
            return read_prompt_file(dataset.prompt_path, classnames)
        return fill_templates(classnames, given or getattr(dataset, "templates", ("a photo of a {}.",)))
    return read_prompt_file(_gpt3_file(dataset, cfg) if source == "gpt3" else source, classnames)


def _gpt3_file(dataset: Any, cfg: CfgNode) -> Path:
    name = cfg.DATASET.NAME
    if not getattr(dataset, "prompt_file", ""):
        raise ValueError(
            f"data set {name} has no file of GPT-3 sentences; "
            "choose PROMPTS templates, imagenet7 or the path of a .json file"
        )
    path = Path(dataset.prompt_path)
    if not path.is_file():
        command = f"python -m datasets.prepare {name} --root {shlex.quote(str(cfg.DATASET.ROOT))}"
        raise FileNotFoundError(f"no prompt file at {path}; fetch it with: {command}")
    return path
