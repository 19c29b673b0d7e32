"""Requirements with a URL, a path or a repository: read first, since they leave no choice.

A direct requirement fixes its project to what the URL holds. Only what the user wrote, and
what the metadata of such direct requirements says in turn, may fix a project this way; a
package of the index that asks for a URL cannot be used unless the user names the same one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace

from dpip.errors import DpipError
from dpip.resolve.facts import Direct, Unavailable, Wants

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dpip.resolve.environment import Environment
    from dpip.resolve.facts import Facts
    from dpip.resolve.request import Given, Request


class BadDirect(DpipError):
    """What a URL holds cannot be had, or is not what was asked for."""

    slug = "bad-direct-requirement"
    side: ClassVar = "theirs"


def gather(request: Request, environment: Environment, facts: Facts) -> dict[str, Direct] | Wants:
    """Return what every direct requirement holds, by project; or the URLs to read next."""
    found: dict[str, Direct] = {}
    wanted: dict[str, None] = {}
    editable = {given.requirement.url for given in request.requirements if given.editable}
    queue = [(given.requirement.url, given.origin) for given in _active(request, environment)]
    for url, origin in queue:
        direct = facts.direct(url)
        if direct is None:
            wanted[url] = None
        elif isinstance(direct, Unavailable):
            raise BadDirect(f"cannot use {url} ({origin}): {direct.detail or direct.cause}")
        elif _is_new(direct, found):
            name = direct.dependencies.name
            found[name] = replace(direct, editable=url in editable)
            queue += [
                (each.url, f"required by {name}")
                for each in direct.dependencies.requires
                if each.url and environment.active(each.marker)
            ]
    return Wants(direct=tuple(wanted)) if wanted else found


def _active(request: Request, environment: Environment) -> list[Given]:
    sources = request.requirements + request.constraints + request.overrides
    return [
        given
        for given in sources
        if given.requirement.url and environment.active(given.requirement.marker)
    ]


def _is_new(direct: Direct, found: Mapping[str, Direct]) -> bool:
    name = direct.dependencies.name
    before = found.get(name)
    if before is not None and before.url != direct.url:
        raise BadDirect(f"{name} is asked for from two places: {before.url} and {direct.url}")
    return before is None


def named(request: Request, directs: Mapping[str, Direct]) -> Request:
    """Return the request with the name of every direct requirement filled in."""
    by_url = {direct.url: direct for direct in directs.values()}

    def fill(given: Given) -> Given:
        direct = by_url.get(given.requirement.url)
        if direct is None:
            return given
        name = direct.dependencies.name
        if given.requirement.name not in {"", name}:
            raise BadDirect(f"{given.requirement.url} holds {name}, not {given.requirement.name}")
        return replace(given, requirement=replace(given.requirement, name=name))

    return replace(
        request,
        requirements=tuple(map(fill, request.requirements)),
        constraints=tuple(map(fill, request.constraints)),
        overrides=tuple(map(fill, request.overrides)),
    )
