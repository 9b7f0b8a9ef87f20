import csv
import io
import json

import pytest

from experiments.results.table import Section, format_sections, percent, with_spread

ONE = Section("cell", "", ["a", "b"], [["x_y", "1.00 ± 0.10†"]], ["a note"], [{"a": "x", "n": 1, "names": ["u", "v"]}])
TWO = Section("paired", "Second", ["c"], [], ["nothing here"], [{"c": None, "a": "z", "kind": "other"}])


def test_for_people() -> None:
    text = format_sections([ONE, TWO], "github")
    assert "| x_y | 1.00 ± 0.10† |" in " ".join(text.split()) and "\n\n- a note\n\n### Second\n" in text
    assert text.endswith("- nothing here") and "### \n" not in text
    assert "### Second" not in format_sections([TWO], "plain") and "Second" in format_sections([TWO], "plain")


def test_latex() -> None:
    text = format_sections([ONE, TWO], "latex")
    assert r"\begin{tabular}" in text and r"x\_y" in text and r"1.00 $\pm$ 0.10\dag{}" in text
    assert "% a note" in text and "% Second" in text and "±" not in text.split("% a note")[0]


NASTY = Section("cell", "a<b\nc", ["x|y"], [["p|q <i>\nr"]], ["one\ntwo | <b>"], [{"a": "p|q <i>\nr"}])


def test_names_from_data_cannot_break_a_table() -> None:
    assert [" ".join(line.split()) for line in format_sections([NASTY], "github").splitlines()] == [
        "### a&lt;b c",
        "",
        r"| x\|y |",
        "|---------------|",
        r"| p\|q &lt;i> r |",
        "",
        "- one two | &lt;b>",
    ]
    plain = format_sections([NASTY], "plain").splitlines()
    assert [line.rstrip() for line in plain] == ["a<b c", "x|y", "p|q <i> r", "", "- one two | <b>"]
    latex = format_sections([NASTY], "latex").splitlines()
    assert latex[0] == "% a<b c" and latex[-1] == "% one two | <b>" and latex[-2] == r"\end{tabular}"


def test_programs_get_names_as_they_are() -> None:
    assert json.loads(format_sections([NASTY], "json"))[0]["a"] == "p|q <i>\nr"
    assert next(csv.DictReader(io.StringIO(format_sections([NASTY], "csv"))))["a"] == "p|q <i>\nr"


def test_for_programs() -> None:
    assert json.loads(format_sections([ONE, TWO], "json")) == [
        {"kind": "cell", "a": "x", "n": 1, "names": ["u", "v"]},
        {"kind": "other", "c": None, "a": "z"},
    ]
    rows = list(csv.DictReader(io.StringIO(format_sections([ONE, TWO], "csv"))))
    assert rows[0] == {"kind": "cell", "a": "x", "n": "1", "names": "u; v", "c": ""}
    assert rows[1] == {"kind": "other", "a": "z", "n": "", "names": "", "c": ""}


def test_numbers_that_are_none_cannot_slip_into_json() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        format_sections([Section("cell", "", entries=[{"a": float("nan")}])], "json")


def test_numbers() -> None:
    assert percent(None) == with_spread(None, None) == with_spread(None, 1.0, 3) == "-"
    assert percent(1.005, signed=True) == "+1.00" and percent(-0.5, signed=True) == "-0.50"
    assert with_spread(90.0, None, 1) == "90.00 (1)" and with_spread(90.0, 1.234) == "90.00 ± 1.23"
