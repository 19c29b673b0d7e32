"""What a mirror keeps, decided: its rules, and the closure of its roots if it follows one.

A file that a closure has chosen is kept whatever the rules about versions say, for the point
of a closure is that it installs. A denied name stays out all the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dpip.mirror.filters import NOT_JUDGED, Names

if TYPE_CHECKING:
    from dpip.mirror.filters import Excluded, Filters, Judged, Parsed
    from dpip.mirror.selection import Selection
    from dpip.simple.model import Project

Closure = Mapping[str, frozenset[str]]
"""Normalized name to the files that a resolver chose for some Python and platform."""

Found = tuple[Closure, list[str]]
"""A closure, and which roots have no answer where."""

FindClosure = Callable[[Sequence[str], Sequence[str], Sequence[str], int], Found]
"""From requirements, Pythons (such as "3.12"), platforms (such as "linux"), and how many of the
newest releases of each requirement are meant, to a closure.

May take minutes: call it in a thread. Raises DpipError where upstream fails.
"""
_ANY = Names()


@dataclass(frozen=True, slots=True)
class Scope:
    """A selection with its closure; `rules` is the fingerprint of both, or empty."""

    selection: Selection
    closure: Closure = field(default_factory=dict)
    rules: str = ""

    def excludes(self, name: str) -> str | None:
        """Return why a project is left out, or None if it is mirrored."""
        reason = self.selection.filters.names.excludes(name)
        if reason is None or reason.startswith("denied"):
            return reason
        return None if name in self.closure else reason

    @property
    def exact(self) -> frozenset[str] | None:
        """All names, where they are a closed list, so that no root list is needed."""
        names = self.selection.filters.names.exact
        return None if names is None else names | self.closure.keys()

    def left_out(self, project: Project, judged: Judged = NOT_JUDGED) -> Excluded:
        """Return the files of a page that the mirror does not keep, with reasons."""
        reason = self.excludes(project.name)
        if reason is not None:
            return {file.filename: reason for file in project.files}
        chosen = self.closure.get(project.name, frozenset())
        excluded = self._filters.excludes(project, judged)
        return {name: why for name, why in excluded.items() if name not in chosen}

    def select(self, project: Project, judged: Judged = NOT_JUDGED) -> tuple[Project, Excluded]:
        """Return the page as the mirror shows it, and what was left out.

        `judged` are the releases that rules about metadata leave out; see `judging`.
        """
        left_out = self.left_out(project, judged)
        if not left_out:
            return project, left_out
        kept = tuple(file for file in project.files if file.filename not in left_out)
        return replace(project, files=kept), left_out

    def open_to_judgement(self, project: Project) -> list[Parsed]:
        """Return the files of a page that only their metadata could still leave out."""
        if self.selection.metadata is None or self.excludes(project.name) is not None:
            return []
        chosen = self.closure.get(project.name, frozenset())
        return [p for p in self._filters.left(project) if p.file.filename not in chosen]

    @property
    def _filters(self) -> Filters:
        return replace(self.selection.filters, names=_ANY)


def fingerprint(table: Mapping[str, object], texts: Sequence[str], closure: Closure) -> str:
    """Return text that changes with the rules: configuration, requirements files, closure."""
    files = {name: sorted(chosen) for name, chosen in sorted(closure.items())}
    whole = json.dumps([table, list(texts), files], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def encode_closure(closure: Closure) -> str:
    """Return a closure as JSON."""
    return json.dumps({name: sorted(files) for name, files in sorted(closure.items())})


def decode_closure(text: str) -> Closure:
    """Return the closure that `encode_closure` wrote."""
    return {name: frozenset(files) for name, files in json.loads(text).items()}
