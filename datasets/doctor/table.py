"""Findings as one table and a line for each data set that has something to say."""

from collections.abc import Sequence

from tabulate import tabulate

from amu_raft.images.listing import SPLIT_NAMES
from datasets.doctor.finding import Finding

HEADERS = ("data set", "state", "images", *SPLIT_NAMES, "classes", "prompts")


def format_findings(findings: Sequence[Finding]) -> str:
    """Return the table, what to do next, and what else was noticed."""
    table = tabulate([cells(finding) for finding in findings], HEADERS, tablefmt="github", disable_numparse=True)
    steps = [f"{finding.name}: {advice(finding)}" for finding in findings if finding.next_step]
    notes = [f"{finding.name}: {note}" for finding in findings for note in finding.notes]
    blocks = [
        table,
        *(
            f"{title}\n" + "\n".join(lines)
            for title, lines in (("What to do next:", steps), ("Notes:", notes))
            if lines
        ),
    ]
    return "\n\n".join([*blocks, summary(findings)])


def cells(finding: Finding) -> list[str]:
    """Return a data set's row: what was found / what is expected, "?" where a damaged list hides it."""
    unknown = "?" if finding.state == "partial" and not finding.splits_found else "0"
    splits = [
        f"{finding.splits_found.get(name, unknown)}/{finding.splits_expected[name]}"
        if name in finding.splits_expected
        else "-"
        for name in SPLIT_NAMES
    ]
    classes = finding.classes_found or unknown
    return [
        finding.name,
        finding.state,
        f"{finding.images_found}/{finding.images_expected}",
        *splits,
        f"{classes}/{finding.classes_expected}",
        finding.prompts,
    ]


def advice(finding: Finding) -> str:
    """Return the next step after the reasons for it."""
    prompts = "absent" if finding.prompts == "absent" else "not"
    reasons = "; ".join(finding.problems) or f"the images are whole, the prompt file is {prompts}"
    return f"{reasons}; next: {finding.next_step}"


def summary(findings: Sequence[Finding]) -> str:
    """Return "13 of 15 data sets are whole."."""
    whole = sum(finding.state == "whole" for finding in findings)
    return f"{whole} of {len(findings)} data sets are whole."
