"""The question: what is asked for, under which rules, for which environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dpip.resolve.environment import Target
    from dpip.resolve.facts import Requirement

Resolution = Literal["highest", "lowest", "lowest-direct"]
ALL = ":all:"


class Given(msgspec.Struct, frozen=True):
    """A requirement that the user wrote. Its name is empty for a URL or path without one."""

    requirement: Requirement
    origin: str = "the command line"
    """Where it stands, such as "requirements.txt, line 3"."""
    hashes: tuple[str, ...] = ()
    """As `sha256:…`; if there are any, only such files will do."""
    editable: bool = False


class Formats(msgspec.Struct, frozen=True):
    """Which kinds of files may be used: `--only-binary` and `--no-binary` of pip."""

    no_wheels: frozenset[str] = frozenset()
    """Normalized names, or ":all:"."""
    no_sdists: frozenset[str] = frozenset()

    def wheels(self, name: str) -> bool:
        """Say whether wheels of a project may be used."""
        return name not in self.no_wheels and (ALL not in self.no_wheels or name in self.no_sdists)

    def sdists(self, name: str) -> bool:
        """Say whether source distributions of a project may be used."""
        return name not in self.no_sdists and (ALL not in self.no_sdists or name in self.no_wheels)


class Releases(msgspec.Struct, frozen=True):
    """Which releases may be used: `--all-releases` (or `--pre`) and `--only-final` of pip."""

    every: frozenset[str] = frozenset()
    """Normalized names, or ":all:": pre-releases are taken like any other version."""
    final: frozenset[str] = frozenset()
    """Normalized names, or ":all:": pre-releases are not taken at all."""

    def early(self, name: str) -> bool | None:
        """Say whether pre-releases of a project are taken; None: where nothing else is left."""
        for place in (name, ALL):
            if place in self.every or place in self.final:
                return place in self.every
        return None


class Request(msgspec.Struct, frozen=True):
    """Everything that the answer depends on, besides the facts."""

    requirements: tuple[Given, ...]
    target: Target
    constraints: tuple[Given, ...] = ()
    """Bounds on what is installed for another reason."""
    overrides: tuple[Given, ...] = ()
    """Take the place of every other requirement on the same name."""
    resolution: Resolution = "highest"
    releases: Releases = Releases()
    exclude_newer: float | None = None
    """Seconds since the epoch; files uploaded at or after it do not exist."""
    formats: Formats = Formats()
    require_hashes: bool = False
    """Only files will do of which the user gave a hash."""
    preferences: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """Versions to try first, by name."""
    universal: bool = False
    """Answer for all environments with the target's Python version or a later one."""
    requires_python: str = ""
    """With `universal`: which Pythons; empty: the target's X.Y and later ones."""
    required_environments: tuple[str, ...] = ()
    """With `universal`: markers of environments in which every file choice must work."""
