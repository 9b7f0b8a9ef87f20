"""Only its room, its trainer and its YAML files name a method: everything else asks the registry."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from amu_raft.methods import get_method, method_names

ROOT = Path(__file__).parents[1]
# Benchmarks are left out: they measure certain methods, as tests do.
CODE = ("amu_raft", "trainers", "datasets", "experiments", "scripts", "toolbox/dassl")
# CoOp's own name of zero-shot CLIP, by which tables know it in logs of other programs too.
OF_OTHERS = {"experiments/results/labels.py: ZeroshotCLIP"}


def names() -> set[str]:
    """What names a method: its name, its aliases of more than one word, and the module it is in."""
    found = set(method_names())
    for name in method_names():
        kind = get_method(name)
        found |= {kind.__module__, f"TRAINER.{name.upper()}"}
    return found


def code_files() -> Iterator[Path]:
    """Python files outside the rooms and the thin trainers."""
    for path in [*ROOT.glob("*.py"), *(path for folder in CODE for path in (ROOT / folder).rglob("*.py"))]:
        inside = path.relative_to(ROOT)
        if inside.parts[:2] != ("amu_raft", "methods") and not (
            inside.parts[0] == "trainers" and len(inside.parts) == 2
        ):
            yield path


def words_of(tree: ast.AST) -> Iterator[str]:
    """Identifiers, imported names and texts of code; not docstrings, and not the examples in a help text."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield "" if "%(prog)s" in node.value or "examples:" in node.value else node.value
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.alias | ast.ClassDef | ast.FunctionDef):
            yield node.name


def named(code: str, known: set[str]) -> set[str]:
    """Return the methods' names in a piece of code; a word is as it stands, or all in small letters between quotes."""
    pattern = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, sorted(known, key=len, reverse=True)))})(?!\w)")
    small = {name.lower() for name in known}
    found: set[str] = set()
    for word in words_of(ast.parse(code)):
        found |= set(pattern.findall(word)) | ({word} & small)
    return found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("METHODS = {'amu': 1}", {"amu"}),
        ("if name == 'RAFT': pass", {"RAFT"}),
        ("from amu_raft.methods.raft import pooling", {"amu_raft.methods.raft"}),
        ("isinstance(x, GDA)", {"GDA"}),
        ("x = methods.GDA", {"GDA"}),
        ("cfg['TRAINER.AMU.ALPHA']", {"TRAINER.AMU"}),
        ("'''AMU of 2024'''\nx = 'amu-raft doctor'\ny = DRAFT", set()),
        ("EPILOG = 'examples:\\n  train.py --trainer AMU'", set()),
    ],
)
def test_what_names_a_method(code: str, found: set[str]) -> None:
    assert named(code, names()) == found


def test_no_other_file_names_a_method() -> None:
    known, found = names(), set()
    paths = list(code_files())
    assert len(paths) > 200
    for path in paths:
        found |= {f"{path.relative_to(ROOT)}: {name}" for name in named(path.read_text(), known)}
    assert found == OF_OTHERS


def test_a_trainer_is_thin() -> None:
    for path in (ROOT / "trainers").glob("*.py"):
        if path.name != "__init__.py":
            assert len(path.read_text().splitlines()) < 10
