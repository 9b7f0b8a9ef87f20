"""The rooms and their arrows: what may import what."""

from pathlib import Path

import pytest

from scripts import architecture
from scripts.architecture import FLOORS, ROOMS, Room, arrows, climbing, needed, place_of

# The whole of the toolbox that the library sees: reading pictures, and its transforms.
PICTURES = {"dassl.utils.images", "dassl.utils.image_names", "dassl.data.transforms"}


@pytest.fixture(scope="module")
def imports() -> dict[str, list[str]]:
    return architecture.read_imports()


def test_arrows_only_go_down(imports) -> None:
    assert climbing(FLOORS, imports) == [] and climbing(ROOMS, imports) == []


def test_every_module_has_a_room(imports) -> None:
    assert {module for module in imports if place_of(module, FLOORS) is None} == set()
    rooms = {ROOMS[place].name for module in imports if (place := place_of(module, ROOMS)) is not None}
    assert rooms == {room.name for room in ROOMS}


def test_of_the_toolbox_the_library_sees_the_pictures_alone(imports) -> None:
    seen = {
        target
        for module, targets in imports.items()
        if module.startswith("amu_raft")
        for target in targets
        if not target.startswith("amu_raft")
    }
    assert seen == PICTURES


def test_no_two_modules_import_each_other(imports) -> None:
    # Packages are entered by their __init__, which may name what is inside.
    circles = [
        (module, target)
        for module, targets in imports.items()
        for target in targets
        if module in imports.get(target, ()) and not f"{module}.".startswith(f"{target}.")
        and not f"{target}.".startswith(f"{module}.")
    ]  # fmt: skip
    assert circles == []


LAYOUT = (Room("ground", "", ("p.a",)), Room("middle", "", ("p", "p.a.b")), Room("door", "", ("p.",)))


@pytest.mark.parametrize(
    ("module", "room"),
    [("p.a", 0), ("p.a.c", 0), ("p.a.b", 1), ("p.a.bc", 0), ("p.z", 1), ("p", 2), ("q", None), ("pa", None)],
)
def test_the_longest_name_tells_the_room(module: str, room: int | None) -> None:
    assert place_of(module, LAYOUT) == room


def test_an_arrow_upwards_is_named_with_its_imports() -> None:
    given = {"p.a.c": ["p.z", "q"], "p.z": ["p.a"]}
    assert climbing(LAYOUT, given) == ["ground -> middle: p.a.c imports p.z"]
    assert [(arrow.source, arrow.target) for arrow in arrows(LAYOUT, given)] == [
        ("ground", "middle"),
        ("middle", "ground"),
    ]


def test_rooms_beside_each_other_do_not_know_each_other() -> None:
    assert climbing(ROOMS, {"amu_raft.serve.app": ["amu_raft.export.onnx_export"]}) == [
        "serve -> export: amu_raft.serve.app imports amu_raft.export.onnx_export"
    ]


def test_the_picture_leaves_out_what_other_arrows_say() -> None:
    given = {"p": ["p.z", "p.a"], "p.z": ["p.a"]}
    assert needed(LAYOUT, given) == [("middle", "ground"), ("door", "middle")]
    assert needed(LAYOUT, {"p": ["p.a"], "p.a": ["p.z"]}) == [("ground", "middle"), ("door", "ground")]


def test_the_command_draws_and_fails_at_an_arrow_upwards(tmp_path: Path, monkeypatch, capsys, imports) -> None:
    monkeypatch.setattr(architecture, "read_imports", lambda: imports)
    assert architecture.main(["--figure", str(tmp_path / "rooms.png")]) == 0
    assert (tmp_path / "rooms.png").read_bytes()[:4] == b"\x89PNG" and "trainers -> library" in capsys.readouterr().out
    wrong = {**imports, "amu_raft.errors": ["trainers.amu"]}
    monkeypatch.setattr(architecture, "read_imports", lambda: wrong)
    assert architecture.main([]) == 1
    assert "goes up: library -> trainers: amu_raft.errors imports trainers.amu" in capsys.readouterr().err
