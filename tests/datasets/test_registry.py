import ast
from pathlib import Path

import pytest
import yaml

import datasets  # noqa: F401  (importing registers)
from dassl.data.datasets import DATASET_REGISTRY

REPOSITORY = Path(__file__).parents[2]
CONFIGS = sorted((REPOSITORY / "configs" / "datasets").glob("*.yaml"))
OURS = [
    name
    for name in DATASET_REGISTRY.registered_names()
    if DATASET_REGISTRY.get(name).__module__.startswith("datasets.")
]


@pytest.mark.parametrize("name", OURS)
def test_every_data_set_has_templates_and_a_config(name: str) -> None:
    templates = DATASET_REGISTRY.get(name).templates
    assert isinstance(templates, tuple) and templates
    assert all(template.count("{}") == 1 for template in templates)
    assert name in [yaml.safe_load(path.read_text())["DATASET"]["NAME"] for path in CONFIGS]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_names_a_data_set_and_explains_itself(path: Path) -> None:
    text = path.read_text()
    assert yaml.safe_load(text)["DATASET"]["NAME"] in OURS
    assert text.startswith("# ") and "/main.sh " + path.stem in text


@pytest.mark.parametrize("path", sorted((REPOSITORY / "datasets").glob("*.py")), ids=lambda path: path.stem)
def test_importing_is_cheap(path: Path) -> None:
    """Packages that take long to import are imported where they are used, not at the top of a module."""
    top = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [alias.name for node in top if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in top if isinstance(node, ast.ImportFrom)]
    assert {name.split(".")[0] for name in names}.isdisjoint({"sklearn", "scipy", "matplotlib", "torch", "torchvision"})
