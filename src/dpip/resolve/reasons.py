"""Why a version is out: the facts at the leaves of every explanation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from dpip.resolve.facts import Requirement, Unavailable
    from dpip.resolve.request import Given

Obstacle = Literal[
    "yanked", "python", "platform", "date", "format", "early", "hash", "metadata", "url"
]


class Requires(msgspec.Struct, frozen=True):
    """A version requires something. `parent` is empty where the user asked for it."""

    parent: str
    requirement: Requirement
    origin: str = ""


class Constrained(msgspec.Struct, frozen=True):
    """A constraint leaves these versions out."""

    given: Given


class Unusable(msgspec.Struct, frozen=True):
    """Versions that no file can be used of."""

    name: str
    obstacle: Obstacle
    detail: str = ""


class NotFound(msgspec.Struct, frozen=True):
    """There is no page to choose from."""

    name: str
    unavailable: Unavailable


class SameVersion(msgspec.Struct, frozen=True):
    """A project and its extra are one installation."""

    name: str
    extra: str


Reason = Requires | Constrained | Unusable | NotFound | SameVersion
