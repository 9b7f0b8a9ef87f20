import csv
import io
import json

import pytest

from amu_raft.prediction.rows import WRITERS, Guess, Row, path_cell, text_cell

ODD = '=cmd|"x"!A1, Größe\nzwei 猫'
READ = Row(
    "a.png",
    [Guess(ODD, 1, 0.75), Guess("b", 0, 0.25)],
    [Guess("b", 0, 0.6), Guess(ODD, 1, 0.4)],
    {"weight": 0.5, "doubt": 2.0},
)
FAILED = Row("=dir\x1b[2J.png", error="no such file")


def written(form: str, *rows: Row, explained: bool = False) -> str:
    stream = io.StringIO(newline="")
    writer = WRITERS[form](stream, topk=2, explained=explained)
    for row in rows:
        writer.write(row)
    return stream.getvalue()


def test_json_lines() -> None:
    lines = written("jsonl", READ, FAILED).splitlines()
    first, second = (json.loads(line) for line in lines)
    assert first == {
        "image": "a.png",
        "error": None,
        "adapted": [{"class": ODD, "label": 1, "probability": 0.75}, {"class": "b", "label": 0, "probability": 0.25}],
        "zero_shot": [{"class": "b", "label": 0, "probability": 0.6}, {"class": ODD, "label": 1, "probability": 0.4}],
        "weight": 0.5,
        "doubt": 2.0,
    }
    assert second == {"image": FAILED.image, "error": "no such file", "adapted": [], "zero_shot": []}
    assert "Größe" in lines[0] and "猫" in lines[0]


def test_no_number_of_a_method_takes_the_place_of_what_every_row_says() -> None:
    row = Row("a.png", READ.adapted, READ.zero_shot, {"image": 1.0, "error": 1.0, "adapted": 1.0})
    content = json.loads(written("jsonl", row))
    assert (content["image"], content["error"], len(content["adapted"])) == ("a.png", None, 2)


def test_comma_separated() -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", READ, FAILED), newline="")))
    assert rows[0]["class_1"] == f"'{ODD}" and float(rows[0]["probability_1"]) == 0.75
    assert rows[0]["zero_shot_class_1"] == "b" and rows[0]["error"] == ""
    assert rows[1]["image"] == f"./{FAILED.image}" and rows[1]["class_1"] == "" and rows[1]["error"] == "no such file"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start: str) -> None:
    assert text_cell(f"{start}1") == f"'{start}1" and path_cell(f"{start}1") == f"./{start}1"
    assert text_cell(f"1{start}") == f"1{start}" and path_cell(f"/{start}") == f"/{start}"


def test_the_table() -> None:
    lines = written("table", READ, FAILED).splitlines()
    assert lines[1] == "a.png" and lines[2].split("   ")[1].strip().startswith('=cmd|"x"!A1')
    assert "75.0 %" in lines[2] and "60.0 %" in lines[2]
    assert lines[-2:] == ["=dir\\x1b[2J.png", "    error: no such file"]


def test_long_names_are_cut_in_the_table_only() -> None:
    row = Row("a", [Guess("x" * 99, 0, 1.0)], [Guess("x" * 99, 0, 1.0)])
    assert "x" * 30 not in written("table", row) and "x" * 99 in written("csv", row)


@pytest.mark.parametrize(("form", "last"), [("csv", "why/1.png"), ("jsonl", '"overlay": "why/1.png"}')])
def test_overlays_are_named(form: str, last: str) -> None:
    row = Row("a", [Guess("x", 0, 1.0)], [Guess("x", 0, 1.0)], overlay="why/1.png")
    assert written(form, row, explained=True).rstrip().endswith(last)
    assert "see why/1.png" in written("table", row, explained=True)
    assert "overlay" not in written(form, row)
