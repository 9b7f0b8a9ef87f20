import pytest

from experiments.results.report.tables import leading_number, table


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("74.73 ± 4.05 (3)", 74.73),
        ("91.2†", 91.2),
        ("3/5", 3),
        ("1,797", 1797),
        ("-0.5", -0.5),
        ("\N{MINUS SIGN}0.5", -0.5),
        ("1e-3", 0.001),
        ("16shots", None),
        ("1.2.3", None),
        ("min(shots, 4)", None),
    ],
)
def test_numbers_are_read_from_printed_texts(text: str, number: float | None) -> None:
    assert leading_number(text) == number


def test_columns_of_numbers_are_sorted_as_numbers_and_gaps_by_nothing() -> None:
    made = table("t", ["name", "score", "mixed"], [["B", "9.5 ± 1", "10"], ["a", "- (0/2)", "16shots"]])
    assert made.numeric == (False, True, False)
    assert [[entry.order for entry in row] for row in made.body] == [["b", 9.5, "10"], ["a", None, "16shots"]]


def test_a_column_of_gaps_is_no_number() -> None:
    assert table("t", ["a"], [["-"], [""]]).numeric == (False,)


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="a row of table 'scores' has 1 cells for 2 columns"):
        table("scores", ["a", "b"], [["1"]])
