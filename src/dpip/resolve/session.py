"""One resolve: runs the solver as far as facts go, says what it needs, puts the answer together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from dpip.resolve import directs
from dpip.resolve.facts import Wants
from dpip.resolve.resolution import Impossible, NeedMore
from dpip.resolve.search import Search

if TYPE_CHECKING:
    from collections.abc import Callable

    from dpip.resolve.facts import Facts
    from dpip.resolve.relax import Hints
    from dpip.resolve.request import Request
    from dpip.resolve.resolution import Outcome
    from dpip.resolve.universal import UniversalSearch


class Session:
    """A request on its way to an answer. Call `run` until the outcome is not NeedMore.

    Each NeedMore must be met before the next call: after it, `facts` knows all that was
    wanted, as a fact or as Unavailable. Raises BadDirect where a URL that the user gave does
    not hold what the requirement says.
    """

    def __init__(self, request: Request, facts: Facts, *, hinting: bool = True) -> None:
        self.request = request
        self.facts = facts
        self.hinting = hinting
        self._search: Search | UniversalSearch | None = None
        self._hints: Hints | None = None
        self._impossible: Impossible | None = None
        """The verdict, once it is known: a search that has ended is not run again."""

    def run(self) -> Outcome:
        """Go on until there is an answer, proof that there is none, or a fact is lacking."""
        if self._search is None:
            opened = self._open()
            if isinstance(opened, Wants):
                return NeedMore(opened)
            self._search = opened
        if self._impossible is None:
            outcome = self._search.run()
            if not isinstance(outcome, Impossible):
                return outcome
            self._impossible = outcome
        return self._hinted(self._impossible)

    def _hinted(self, outcome: Impossible) -> Outcome:
        if not self.hinting:
            return outcome
        if self._hints is None:
            from dpip.resolve.relax import Hints

            self._hints = Hints(self.request, outcome.explanation, self._trial)
        found = self._hints.run()
        if isinstance(found, Wants):
            return NeedMore(found)
        return Impossible(replace(outcome.explanation, hints=found))

    def _trial(self, request: Request) -> Callable[[], Outcome]:
        return Session(request, self.facts, hinting=False).run

    def _open(self) -> Search | UniversalSearch | Wants:
        if self.request.universal:
            from dpip.resolve.universal import UniversalSearch

            return UniversalSearch(self.request, self.facts)
        target = self.request.target
        found = directs.gather(self.request, target, self.facts)
        if isinstance(found, Wants):
            return found
        return Search(directs.named(self.request, found), target, self.facts, found)
