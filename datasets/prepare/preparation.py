"""Make one data set whole: arrange what is there, get what is missing, and let the doctor judge."""

import errno
import functools
from dataclasses import dataclass

from datasets.catalog import Entry, Part
from datasets.doctor import inspect
from datasets.prepare.job import UNPACKED, Job, PreparationError, clear_staging, remove, staging_lock
from datasets.prepare.obtaining import Obtained, candidates, hint_by_hand
from datasets.prepare.placing import (
    Labels,
    copy_from_another_set,
    place_archive,
    place_file,
    read_labels,
    unpacked_folder,
)
from datasets.prepare.presence import dataset_class, is_flat, missing_from
from datasets.prepare.tidying import tidy
from datasets.prepare.validation_images import sort_images

LONGEST = 300  # letters of an error that nobody has foreseen


@dataclass(frozen=True)
class Outcome:
    """What became of one data set.

    Attributes:
        entry: The data set.
        reason: Why it is not whole, in one line; empty if it is.
    """

    entry: Entry
    reason: str

    @property
    def whole(self) -> bool:
        """Whether it can be used."""
        return not self.reason


def prepare(job: Job) -> Outcome:
    """Make one data set whole; nothing that goes wrong stops the data sets after it."""
    try:
        with staging_lock(job):
            problems = [] if judge(job).whole else _complete(job)
            outcome = judge(job, problems, tell=True)
            if outcome.whole:
                clear_staging(job)
            return outcome
    except PreparationError as error:
        return Outcome(job.entry, str(error))
    except OSError as error:
        return Outcome(job.entry, _os_error(error, job))
    except Exception as error:  # a fault of this program or of what lies there must not end the sets after it
        return _unforeseen(job, error)


def verify(job: Job) -> Outcome:
    """Say what the doctor says, changing nothing; a prompt file that is absent is told and does not decide."""
    try:
        finding = inspect(job.entry, job.root)
    except Exception as error:  # as above
        return _unforeseen(job, error)
    for note in [*finding.notes, *(["prompt file absent"] if finding.prompts == "absent" else [])]:
        print(f"  note: {note}")
    return Outcome(job.entry, "" if finding.state == "whole" else "; ".join(finding.problems) or finding.state)


def _unforeseen(job: Job, error: Exception) -> Outcome:
    return Outcome(job.entry, f"{type(error).__name__}: {' '.join(str(error).split())[:LONGEST]}")


def judge(job: Job, problems: list[str] | None = None, *, tell: bool = False) -> Outcome:
    """Ask the doctor whether a data set is whole, and look for its small files.

    Args:
        job: The data set and its root.
        problems: What went wrong before; it tells more than what the doctor finds missing.
        tell: Whether to print the doctor's notes.
    """
    reasons = list(problems or [])
    finding = inspect(job.entry, job.root)
    for note in finding.notes if tell else ():
        print(f"  note: {note}")
    absent = [lack for part in job.entry.parts if part.required and (lack := missing_from(job, part))]
    if finding.state != "whole":
        reasons += [] if reasons else finding.problems or [finding.state]
    elif absent and not reasons:
        reasons += absent
    whole = finding.state == "whole" and not absent
    return Outcome(job.entry, "" if whole else "; ".join(reasons))


def _complete(job: Job) -> list[str]:
    """Get every part that is missing; return what went wrong, one line for each part."""
    for line in tidy(job):
        print(f"  {line}")
    print(f"  terms: {job.entry.terms}")
    problems: list[str] = []
    failed: list[Part] = []
    # Lists come first: they tell which images are missing.
    for part in sorted(job.entry.parts, key=lambda part: not part.alternatives[0].place.to):
        if not part.required or not missing_from(job, part):
            continue
        if problems and _needs_list(job, part):
            problems.append(f"{part.name} are fetched once the split file is there")
            continue
        try:
            _complete_part(job, part)
        except PreparationError as error:
            problems.append(f"{part.name}: {error}")
            failed.append(part)
        except ValueError as error:
            problems.append(f"{part.name}: {' '.join(str(error).split())}")
        except OSError as error:
            problems.append(f"{part.name}: {_os_error(error, job)}")
    return [*problems, *filter(None, [hint_by_hand(job, failed)])]


def _needs_list(job: Job, part: Part) -> bool:
    split = job.folder / dataset_class(job.entry).split_file
    return bool(part.alternatives[0].place.moves) and split != job.folder and not split.is_file()


def _complete_part(job: Job, part: Part) -> None:
    if _sort_in_place(job, part) or copy_from_another_set(job, part, job.entry):
        return
    failures: list[str] = []
    try:
        for obtained in candidates(job, part):
            try:
                _place(job, part, obtained)
            except ValueError as error:
                failures.append(" ".join(str(error).split()))
            else:
                if not (lack := missing_from(job, part)):
                    return
                failures.append(f"with {obtained.download.file} in place, {lack}")
            remove(job.staging / UNPACKED / part.name)
            if obtained.own:
                remove(obtained.path)
    except PreparationError as error:
        raise PreparationError("; ".join([*failures, str(error)])) from None


def _place(job: Job, part: Part, obtained: Obtained) -> None:
    if obtained.download.place.to:
        place_file(job, part, obtained)
        return
    resumed = unpacked_folder(job, part, obtained).is_dir()
    labels = functools.partial(_labels, job, obtained.download.place.labels_from)
    place_archive(job, part, obtained, labels)
    if resumed and missing_from(job, part):  # what the killed run had left did not suffice
        place_archive(job, part, obtained, labels)


def _sort_in_place(job: Job, part: Part) -> bool:
    """Sort a flat folder of images that the user has unpacked; tell whether that completed the part."""
    place = part.alternatives[0].place
    folders = [job.folder / move.to for move in place.moves if place.labels_from]
    for folder in filter(is_flat, folders):
        try:
            sort_images(folder, _labels(job, place.labels_from))
        except ValueError as error:  # what cannot be sorted stays, and the archive may have what is missing
            print(f"  {error}")
    return bool(folders) and not missing_from(job, part)


def _labels(job: Job, part_name: str) -> Labels:
    """Return the class of each validation image.

    Raises:
        PreparationError: If no file tells.
    """
    part = next(part for part in job.entry.parts if part.name == part_name)
    try:
        for obtained in candidates(job, part):
            try:
                return read_labels(job, part, obtained)
            except ValueError as error:
                print(f"  {error}")
    except PreparationError as error:
        raise PreparationError(f"the classes of the validation images are not known: {error}") from None
    raise AssertionError("candidates end in an error")


def _os_error(error: OSError, job: Job) -> str:
    if error.errno == errno.ENOSPC:
        return f"no space left in {job.root}; free some and run {job.command()} again, which goes on from here"
    return " ".join(str(error).split())
