import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from amu_raft.strangers import import_modules


@pytest.fixture
def here(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder; what is imported from it is forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield workdir
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_by_name_and_by_file(here: Path) -> None:
    (here / "stranger_one.py").write_text("answer = 1")
    (here / "stranger_package").mkdir()
    (here / "stranger_package" / "inner.py").write_text("answer = 2")
    (here / "away").mkdir()
    (here / "away" / "stranger_two.py").write_text("answer = 3")
    names = ["stranger_one", "stranger_package.inner", "away/stranger_two.py"]
    found = import_modules(names)
    assert [module.answer for module in found] == [1, 2, 3]
    assert sys.modules["stranger_two"] is found[2]
    assert import_modules([*names, str(here / "away" / "stranger_two.py")]) == [*found, found[2]]
    assert import_modules([]) == []


def test_the_working_folder_comes_last(here: Path) -> None:
    (here / "json.py").write_text("raise SystemError('the wrong one')")
    (here / "stranger_path.py").write_text("import colorsys")
    (here / "colorsys.py").write_text("raise SystemError('the wrong one')")
    import_modules(["json", "stranger_path"])
    assert sys.path[-1] == str(here)


def test_a_file_is_found_again_by_its_stem(here: Path) -> None:
    (here / "stranger_pickled.py").write_text("class Thing:\n    pass\n")
    [module] = import_modules(["./stranger_pickled.py"])
    import pickle

    assert isinstance(pickle.loads(pickle.dumps(module.Thing())), module.Thing)


@pytest.mark.parametrize("by", ["broken", "broken.py"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("raise ValueError('first\\n  second')", "ValueError: first second"),
        ("import not_there_at_all", "ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("def (", "SyntaxError: "),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_module_that_fails_is_one_line(by: str, content: str, message: str, here: Path) -> None:
    (here / "broken.py").write_text(content)
    for _ in range(2):  # nothing half made is left
        with pytest.raises(ImportError) as caught:
            import_modules([by])
        assert str(caught.value).startswith(f"--import {by}: {message}") and "\n" not in str(caught.value)
        assert "broken" not in sys.modules


def test_modules_that_are_not_there(here: Path) -> None:
    with pytest.raises(
        ImportError, match=r"^--import stranger_zero: ModuleNotFoundError: No module named 'stranger_zer"
    ):
        import_modules(["stranger_zero"])
    with pytest.raises(ImportError, match=r"^--import away/stranger_zero\.py: no such Python file$"):
        import_modules(["away/stranger_zero.py"])
    with pytest.raises(ImportError, match=r"^--import away/stranger_zero: no such Python file$"):
        import_modules(["away/stranger_zero"])


def test_a_file_must_not_take_a_loaded_modules_name(here: Path) -> None:
    (here / "json.py").write_text("")
    (here / "sys.py").write_text("")
    for name in ("json", "sys"):
        with pytest.raises(ImportError, match=f"a module '{name}' is loaded already; give the file another name"):
            import_modules([f"./{name}.py"])
