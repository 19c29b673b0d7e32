"""What a client asks a node for: one question (JSON); `closure_answer.py` is what it gets.

    POST /resolve/v1/closure
    {"requirements": […], "constraints": […], "environment": {…}, "options": {…}}

The question goes out before anything is loaded that only reading the answer takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from dpip.resolve.environment import Tags, Target
from dpip.resolve.request import ALL, Formats, Given, Releases, Request
from dpip.resolve.requirement import parse

if TYPE_CHECKING:
    from collections.abc import Iterable

PATH = "/resolve/v1/closure"
ENCODINGS = "xz, gzip"
"""What a client reads. In xz, long answers need one flight of packets less than in gzip."""
MAX_QUESTION = 4 * 2**20
MAX_ANSWER = 64 * 2**20


class WireGiven(msgspec.Struct, frozen=True, omit_defaults=True):
    """A requirement that the user wrote."""

    requirement: str
    origin: str = "the command line"
    hashes: tuple[str, ...] = ()


class WireEnvironment(msgspec.Struct, frozen=True):
    """A target: marker variables, and the two tables of wheel tags, best first."""

    variables: dict[str, str]
    pairs: list[tuple[str, str]]
    platforms: list[str]


class WireOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """The rules of the request."""

    resolution: str = "highest"
    prereleases: bool = False
    all_releases: tuple[str, ...] = ()
    only_final: tuple[str, ...] = ()
    exclude_newer: float | None = None
    no_wheels: tuple[str, ...] = ()
    no_sdists: tuple[str, ...] = ()
    universal: bool = False
    requires_python: str = ""
    required_environments: tuple[str, ...] = ()


class Question(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of the request; `state` is that of an answer which the client holds."""

    requirements: tuple[WireGiven | str, ...]
    environment: WireEnvironment
    constraints: tuple[WireGiven | str, ...] = ()
    overrides: tuple[WireGiven | str, ...] = ()
    options: WireOptions = WireOptions()
    state: str = ""


decode_question = msgspec.json.Decoder(Question).decode
encode = msgspec.json.encode


def question(request: Request, state: str = "") -> Question:
    """Return a request as it is sent."""
    target = request.target
    return Question(
        requirements=_to_wire(request.requirements),
        environment=WireEnvironment(
            dict(target.variables), list(target.tags.pairs), list(target.tags.platforms)
        ),
        constraints=_to_wire(request.constraints),
        overrides=_to_wire(request.overrides),
        options=WireOptions(
            resolution=request.resolution,
            prereleases=ALL in request.releases.every,
            all_releases=tuple(sorted(request.releases.every - {ALL})),
            only_final=tuple(sorted(request.releases.final)),
            exclude_newer=request.exclude_newer,
            no_wheels=tuple(sorted(request.formats.no_wheels)),
            no_sdists=tuple(sorted(request.formats.no_sdists)),
            universal=request.universal,
            requires_python=request.requires_python,
            required_environments=request.required_environments,
        ),
        state=state,
    )


def request(asked: Question) -> Request:
    """Return a request as it was asked; raises InvalidRequirement."""
    options, environment = asked.options, asked.environment
    pairs = {pair: rank for rank, pair in enumerate(environment.pairs)}
    platforms = {platform: rank for rank, platform in enumerate(environment.platforms)}
    return Request(
        requirements=_from_wire(asked.requirements),
        target=Target(environment.variables, Tags(pairs, platforms)),
        constraints=_from_wire(asked.constraints),
        overrides=_from_wire(asked.overrides),
        resolution=options.resolution,  # type: ignore[arg-type]
        releases=_releases(options),
        exclude_newer=options.exclude_newer,
        formats=Formats(frozenset(options.no_wheels), frozenset(options.no_sdists)),
        universal=options.universal,
        requires_python=options.requires_python,
        required_environments=options.required_environments,
    )


def _releases(options: WireOptions) -> Releases:
    every = {*options.all_releases, *([ALL] if options.prereleases else [])}
    return Releases(frozenset(every), frozenset(options.only_final))


def can_ask(request: Request) -> bool:
    """Say whether a node can help: it cannot with what only the client can read."""
    given = (*request.requirements, *request.constraints, *request.overrides)
    return not any(each.requirement.url or each.editable for each in given)


def _to_wire(given: Iterable[Given]) -> tuple[WireGiven, ...]:
    return tuple(WireGiven(str(each.requirement), each.origin, each.hashes) for each in given)


def _from_wire(given: Iterable[WireGiven | str]) -> tuple[Given, ...]:
    full = [WireGiven(each) if isinstance(each, str) else each for each in given]
    return tuple(Given(parse(each.requirement), each.origin, each.hashes) for each in full)
