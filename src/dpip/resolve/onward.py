"""What an answer will make the solver ask next: known where the answer comes in.

On a long line, what counts is how soon the next question is out. The solver takes its turn
when it can; a thread that has just read a page already sees which version will probably be
taken, and one that has just read a wheel's metadata, which projects it needs. These guesses
are made on the requirement that first brought a project into sight, in many threads, and touch
nothing but the catalog. A wrong one costs a request; `lookahead.py` makes the better ones,
which the whole state of the search goes into.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpip.resolve.facts import Dependencies
from dpip.resolve.reasons import Unusable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dpip.resolve.facts import CandidateFile, Requirement, Unavailable
    from dpip.resolve.provider import Catalog


class Onward:
    """Guesses from single answers. `wanted` are the requirements that ask for new pages.

    Both methods may raise the DpipError that the solver will meet in the same place.
    """

    def __init__(self, catalog: Catalog, wanted: Iterable[Requirement]) -> None:
        self._catalog = catalog
        self._wanted = {each.name: each for each in wanted}

    def file(self, name: str) -> CandidateFile | None:
        """Return the wheel of a page that arrived whose metadata will probably be read."""
        requirement = self._wanted.get(name)
        candidates = self._catalog.candidates(name)
        if requirement is None or candidates is None:
            return None
        for number in candidates.in_order(candidates.admitted(requirement)):
            files = candidates.files(number)
            if not isinstance(files, Unusable):
                return files[0] if self._is_worth_a_guess(name, files[0]) else None
        return None

    def _is_worth_a_guess(self, name: str, file: CandidateFile) -> bool:
        """Say whether a file is unknown, and cheap to ask: source may have to be built."""
        return file.kind == "wheel" and self._catalog.dependencies(name, file) is None

    def names(self, found: Dependencies | Unavailable) -> list[str]:
        """Return the projects that a record which arrived will bring into sight."""
        if not isinstance(found, Dependencies):
            return []
        asked = self._wanted.get(found.name)
        extras = ("", *asked.extras) if asked else ("",)
        named: dict[str, None] = {}
        for extra in extras:
            for each in self._catalog.active(found.requires, extra):
                if not each.url and self._catalog.candidates(each.name) is None:
                    self._wanted.setdefault(each.name, each)
                    named[each.name] = None
        return list(named)
