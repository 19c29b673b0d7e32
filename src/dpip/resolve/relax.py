"""What to change so that there is an answer: each proposal is tried before it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace
from packaging.version import Version

from dpip.resolve import environment
from dpip.resolve.facts import Requirement, Wants
from dpip.resolve.request import Formats, Given, Releases
from dpip.resolve.requires_python import lower_bounds
from dpip.resolve.resolution import NeedMore, Solution

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dpip.resolve.explain import Bound, Explanation
    from dpip.resolve.request import Request
    from dpip.resolve.resolution import Outcome

    OpenSession = Callable[[Request], Callable[[], Outcome]]

MOST_TRIED = 6
MOST_TOLD = 3


class Change(NamedTuple):
    """A request with one thing let go of."""

    request: Request
    name: str
    text: str


class Hints:
    """Tries changes of one thing each; kept between rounds.

    `open_session` starts a solve of a changed request. A change whose trial would have to
    build a source archive is told as a possibility only: a hint is not worth running code.
    """

    def __init__(
        self, request: Request, explanation: Explanation, open_session: OpenSession
    ) -> None:
        changes = list(_changes(request, explanation.bounds))[:MOST_TRIED]
        self.trials = [(change, open_session(change.request)) for change in changes]
        self.told: dict[int, str] = {}

    def run(self) -> tuple[str, ...] | Wants:
        """Return what to change, the smallest change first; or the facts to try it on."""
        wants = Wants()
        for place, (change, run) in enumerate(self.trials):
            if place in self.told:
                continue
            outcome = run()
            if isinstance(outcome, NeedMore) and not _would_build(outcome.wants):
                wants = _plus(wants, outcome.wants)
            else:
                self.told[place] = _told(change, outcome)
        return wants or self._best()

    def _best(self) -> tuple[str, ...]:
        texts = [self.told[place] for place in sorted(self.told) if self.told[place]]
        sure = [text for text in texts if not text.endswith(POSSIBLY)]
        return tuple((sure or texts)[:MOST_TOLD])


POSSIBLY = "there may be an answer then"


def _told(change: Change, outcome: Outcome) -> str:
    if isinstance(outcome, Solution):
        return f"{change.text}: then there is an answer{_with(change.name, outcome)}"
    return f"{change.text}: {POSSIBLY}" if isinstance(outcome, NeedMore) else ""


def _would_build(wants: Wants) -> bool:
    return any(file.kind == "sdist" for file in wants.metadata)


def _plus(left: Wants, right: Wants) -> Wants:
    return Wants(
        tuple(dict.fromkeys(left.projects + right.projects)),
        tuple(dict.fromkeys(left.metadata + right.metadata)),
        tuple(dict.fromkeys(left.direct + right.direct)),
    )


def _with(name: str, solution: Solution) -> str:
    versions = [pin.version for pin in solution.pins if pin.name == name]
    return f", with {name} {' and '.join(versions)}" if versions else ""


def _changes(request: Request, bounds: tuple[Bound, ...]) -> Iterator[Change]:
    """Yield what could be let go of, the smallest first."""
    for bound in bounds:
        if bound.kind == "constraint":
            yield from _without_bound(request, bound)
    for bound in bounds:
        if bound.kind == "requirement":
            yield from _without_bound(request, bound)
        elif bound.kind == "override":
            yield from _without_overrides(request, bound)
        elif bound.kind == "python":
            yield from _newer_python(request, bound)
        elif bound.kind in {"format", "early", "date", "yanked", "hash"}:
            yield _without_obstacle(request, bound)


def _without_bound(request: Request, bound: Bound) -> Iterator[Change]:
    of_constraint = bound.kind == "constraint"
    givens = request.constraints if of_constraint else request.requirements
    for place, given in enumerate(givens):
        requirement = given.requirement
        matches = given.origin == bound.origin and str(requirement) == bound.requirement
        if matches and requirement.specifier:
            loose = replace(given, requirement=replace(requirement, specifier=""))
            changed = (*givens[:place], loose, *givens[place + 1 :])
            word = "the constraint " if of_constraint else ""
            text = f"give up {word}{requirement.name}{requirement.specifier} ({given.origin})"
            if of_constraint:
                yield Change(replace(request, constraints=changed), requirement.name, text)
            else:
                yield Change(replace(request, requirements=changed), requirement.name, text)


def _without_overrides(request: Request, bound: Bound) -> Iterator[Change]:
    kept = tuple(each for each in request.overrides if each.requirement.name != bound.name)
    if len(kept) < len(request.overrides):
        text = f"give up the override of {bound.name}"
        yield Change(replace(request, overrides=kept), bound.name, text)


def _without_obstacle(request: Request, bound: Bound) -> Change:
    name = bound.name
    match bound.kind:
        case "date":
            text = "choose a later --exclude-newer"
            return Change(replace(request, exclude_newer=None), name, text)
        case "format":
            text = f"let every kind of file of {name} be used (--only-binary, --no-binary)"
            return Change(replace(request, formats=Formats()), name, text)
        case "early":
            text = f"let pre-releases of {name} be used (--only-final)"
            return Change(replace(request, releases=Releases()), name, text)
        case "hash":
            freed = tuple(_unhashed(given, name) for given in request.requirements)
            changed = replace(request, requirements=freed, require_hashes=False)
            return Change(changed, name, f"check the hashes of {name}")
        case _:
            line = f"{name}=={bound.versions[0]}"
            pin = Given(Requirement(name, f"=={bound.versions[0]}"))
            changed = replace(request, constraints=(*request.constraints, pin))
            return Change(changed, name, f"name the yanked version as {line}")


def _newer_python(request: Request, bound: Bound) -> Iterator[Change]:
    needed = [Version(c.version) for c in lower_bounds(bound.requirement) if c.operator == ">="]
    if needed and not request.universal and max(needed) > Version(request.target.python):
        python = str(max(needed))
        text = f"solve for Python {python} (--python-version)"
        target = environment.with_python(request.target, python)
        yield Change(replace(request, target=target), bound.name, text)


def _unhashed(given: Given, name: str) -> Given:
    return replace(given, hashes=()) if given.requirement.name == name else given
