"""The answer: which versions, which files of them, and who asked for what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from dpip.resolve.explain import Explanation
    from dpip.resolve.facts import CandidateFile, Dependencies, Wants


class Pin(msgspec.Struct, frozen=True):
    """One project at one version."""

    name: str
    version: str
    file: CandidateFile
    """The one to install: the best fitting wheel, else the source distribution."""
    files: tuple[CandidateFile, ...]
    """All that may be installed, best first; `file` is the first."""
    record: Dependencies
    """The metadata that the answer rests on."""
    read_from: CandidateFile
    """The file whose metadata that was."""
    extras: tuple[str, ...] = ()
    """The extras that were asked for and exist."""
    requires: tuple[str, ...] = ()
    """Names of the projects that it needs in this answer, sorted."""
    marker: str = ""
    """Where it is needed; empty: everywhere. Only a universal answer has markers."""
    url: str = ""
    """The direct requirement's URL, if it came from one."""
    editable: bool = False
    wanted_by: tuple[str, ...] = ()
    """Names of the projects that need it, sorted, and origins of the user's requirements."""


class Statistics(msgspec.Struct, frozen=True):
    """What the search cost."""

    tries: int = 0
    conflicts: int = 0


class Solution(msgspec.Struct, frozen=True):
    """All pins, sorted by name (then by version, where environments differ)."""

    pins: tuple[Pin, ...]
    statistics: Statistics = Statistics()
    warnings: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    """The markers of the environments that were solved apart; empty if there was only one."""


class NeedMore(msgspec.Struct, frozen=True):
    """The next round of facts to fetch."""

    wants: Wants


class Impossible(msgspec.Struct, frozen=True):
    """There is no answer, and why."""

    explanation: Explanation


Outcome = Solution | NeedMore | Impossible
