from dataclasses import replace

from datasets.doctor.finding import Finding
from datasets.doctor.table import format_findings

WHOLE = Finding(
    name="EuroSAT",
    state="whole",
    images_found=90,
    images_expected=90,
    splits_found={"train": 50, "val": 20, "test": 20},
    splits_expected={"train": 50, "val": 20, "test": 20},
    classes_found=10,
    classes_expected=10,
    prompts="10/10",
    problems=[],
    notes=[],
    next_step="",
)
DAMAGED = replace(
    WHOLE,
    name="dtd",
    state="partial",
    images_found=54,
    splits_found={},
    classes_found=0,
    prompts="3 keys",
    problems=["the split is damaged", "one image is missing"],
    next_step="python -m datasets.prepare dtd --root data",
)


def test_one_table_for_all() -> None:
    variant = replace(WHOLE, name="ImageNetA", splits_found={"test": 12}, splits_expected={"test": 12}, notes=["hm"])
    missing = replace(DAMAGED, name="SUN397", state="missing", images_found=0, problems=["the folder is missing"])
    assert (
        format_findings([WHOLE, DAMAGED, variant, missing])
        == """\
| data set   | state   | images   | train   | val   | test   | classes   | prompts   |
|------------|---------|----------|---------|-------|--------|-----------|-----------|
| EuroSAT    | whole   | 90/90    | 50/50   | 20/20 | 20/20  | 10/10     | 10/10     |
| dtd        | partial | 54/90    | ?/50    | ?/20  | ?/20   | ?/10      | 3 keys    |
| ImageNetA  | whole   | 90/90    | -       | -     | 12/12  | 10/10     | 10/10     |
| SUN397     | missing | 0/90     | 0/50    | 0/20  | 0/20   | 0/10      | 3 keys    |

What to do next:
dtd: the split is damaged; one image is missing; next: python -m datasets.prepare dtd --root data
SUN397: the folder is missing; next: python -m datasets.prepare dtd --root data

Notes:
ImageNetA: hm

2 of 4 data sets are whole."""
    )


def test_nothing_to_do() -> None:
    text = format_findings([WHOLE])
    assert "next" not in text and "Notes" not in text
    assert text.endswith("1 of 1 data sets are whole.")


def test_a_prompt_file_alone_is_a_reason_too() -> None:
    text = format_findings([replace(WHOLE, prompts="damaged", next_step="python -m datasets.prepare EuroSAT --root x")])
    assert "EuroSAT: the images are whole, the prompt file is not; next: python -m datasets.prepare EuroSAT" in text
