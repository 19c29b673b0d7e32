"""What a mirror must look at again: a pure function of what is known and of what upstream says.

Three facts of real indexes shape the rules. A page can be older than the serial that the root
list just told, because caches sit in front of both: such an answer is used if it is newer
than ours, and asked for again. An answer may lack a serial altogether: that means "unknown",
never "zero". And an answer may be blank: it never replaces a page that lists files until it
was seen several times, or bears a serial that proves it new.

Nothing here stops a sync as a whole: each project has its own failures and its own pause.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dpip.simple.model import ProjectEntry

T = TypeVar("T")
TIMES_TO_BELIEVE = 3
"""How often an answer that contradicts another must be seen before it counts."""


@dataclass(frozen=True, slots=True)
class Followed:
    """One project that a mirror follows. Times are seconds since the epoch.

    `serial` is the newest that upstream's list has told, `listed` whether its last list had
    the project. `due_at` is None where there is nothing to do; else `failures` in a row came
    before, the last for the reason `problem`. `checked_at` is when all was done.
    """

    name: str
    serial: int | None = None
    checked_at: float = 0.0
    listed: bool = True
    due_at: float | None = None
    failures: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Due:
    """A project to look at: its serial as the list tells it, None where it does not."""

    name: str
    serial: int | None = None
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds to leave one project alone: doubling from `first` to `longest`."""

    first: float = 1.0
    longest: float = 3600.0

    def after(self, failures: int) -> float:
        """Return the pause after that many failures in a row."""
        return min(self.longest, self.first * 2.0 ** min(failures - 1, 20))


@dataclass(frozen=True, slots=True)
class Answer:
    """What matters of a page for judging it; `empty` says that it lists no file."""

    serial: int | None
    empty: bool


def compare(
    known: Iterable[Followed], listed: Iterable[ProjectEntry], *, recheck_before: float
) -> Iterator[Due]:
    """Yield what a root list makes due; both sides come in order of the normalized name.

    Where the list tells no serial, a project is due if it was last checked at
    `recheck_before` or earlier. A project that left the list is due once, so that its own
    page can say what became of it. Costs a constant amount of memory.
    """
    ours, theirs = iter(known), iter(listed)
    have, entry = next(ours, None), next(theirs, None)
    while have is not None or entry is not None:
        if entry is not None and (have is None or entry.key < have.name):
            yield Due(entry.key, entry.last_serial)
            entry = _after(theirs, entry)
        elif have is not None and (entry is None or have.name < entry.key):
            if have.listed:
                yield Due(have.name, have.serial, listed=False)
            have = next(ours, None)
        elif have is not None and entry is not None:
            if is_due(have, entry.last_serial, recheck_before=recheck_before):
                yield Due(entry.key, entry.last_serial)
            have, entry = next(ours, None), _after(theirs, entry)


def is_due(have: Followed, serial: int | None, *, recheck_before: float) -> bool:
    """Say whether a listed project must be looked at, known as it is."""
    if not have.listed:
        return True
    if serial is None:
        return have.due_at is None and have.checked_at <= recheck_before
    return have.serial is None or serial > have.serial


def _after(entries: Iterator[ProjectEntry], last: ProjectEntry) -> ProjectEntry | None:
    for entry in entries:
        if entry.key != last.key:
            return entry
    return None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What to do with an answer: `use` it or not; `problem` says why to ask again, if so."""

    use: bool
    problem: str = ""


def judge(before: Answer | None, answer: Answer, target: int | None, failures: int) -> Judgement:
    """Weigh a page against the one that is stored and the serial that the list told."""
    if before is not None and _older(before.serial, answer.serial):
        return Judgement(use=False, problem="upstream's page is older than the stored one")
    blank = answer.empty and before is not None and not before.empty
    if blank and answer.serial is None and failures + 1 < TIMES_TO_BELIEVE:
        return Judgement(use=False, problem="upstream's page lists nothing, and tells no serial")
    if _older(target, answer.serial):
        return Judgement(use=not blank, problem="upstream's page is older than its list says")
    return Judgement(use=True)


def believes_absence(*, listed: bool, stored: bool, failures: int) -> bool:
    """Say whether a 404 means that a project is gone, or contradicts the list for now."""
    return not listed or not stored or failures + 1 >= TIMES_TO_BELIEVE


def _older(wanted: int | None, serial: int | None) -> bool:
    return wanted is not None and serial is not None and serial < wanted
