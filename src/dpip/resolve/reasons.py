"""Why a version is out: the facts at the leaves of every explanation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from dpip.resolve.facts import Requirement, Unavailable
    from dpip.resolve.request import Given

Obstacle = Literal["yanked", "python", "platform", "date", "format", "hash", "metadata", "url"]


@dataclass(frozen=True, slots=True)
class Requires:
    """A version requires something. `parent` is empty where the user asked for it."""

    parent: str
    requirement: Requirement
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Constrained:
    """A constraint leaves these versions out."""

    given: Given


@dataclass(frozen=True, slots=True)
class Unusable:
    """Versions that no file can be used of."""

    name: str
    obstacle: Obstacle
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NotFound:
    """There is no page to choose from."""

    name: str
    unavailable: Unavailable


@dataclass(frozen=True, slots=True)
class SameVersion:
    """A project and its extra are one installation."""

    name: str
    extra: str


Reason = Requires | Constrained | Unusable | NotFound | SameVersion
