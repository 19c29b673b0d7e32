"""Which requirements led to a project: said where reading it fails."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dpip.errors import DpipError
    from dpip.resolve.facts import Dependencies
    from dpip.resolve.request import Request

PROJECT = "project"
"""The key in an error's context that names the project whose facts could not be had."""


def explained(error: DpipError, request: Request, known: Iterable[Dependencies]) -> DpipError:
    """Return the error with the shortest chain of requirements to its project in it."""
    name = error.context.get(PROJECT)
    found = chain(str(name), request, known) if name else []
    if found:
        error.context["chain"] = " > ".join(found)
        error.message = f"{error.message}\n  needed by {' > '.join(found)}"
    return error


def chain(name: str, request: Request, known: Iterable[Dependencies]) -> list[str]:
    """Return who needs a project, the user's requirement first; empty if nobody seems to.

    A search may have looked at several versions of the projects between: the newest that
    leads there is named.
    """
    needs: dict[str, dict[str, str]] = {}
    for record in known:
        for requirement in record.requires:
            by = f"{record.name} {record.version}"
            needs.setdefault(record.name, {}).setdefault(requirement.name, by)
    roots = {given.requirement.name: given for given in reversed(request.requirements)}
    queue = deque(
        (root, [f"{given.requirement} ({given.origin})"]) for root, given in roots.items()
    )
    seen = set(roots)
    while queue:
        at, path = queue.popleft()
        if at == name:
            return path
        for needed, by in needs.get(at, {}).items():
            if needed not in seen:
                seen.add(needed)
                queue.append((needed, [*path, by]))
    return []
