"""Which source a name belongs to: dependency confusion, solved before anybody is asked.

Every name has exactly one source. A client that asks several indexes and takes the highest
version anywhere can be sent a stranger's package under a private name; here a name that is
routed to a private source is asked there and nowhere else, also when it is not found there
or when that source is down.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dpip.errors import UsageError
from dpip.simple.model import is_valid_name
from dpip.simple.names import normalize

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_SOURCE = "upstream"
_ANY = "*"


@dataclass(frozen=True, slots=True)
class Routes:
    """Exact names and prefixes to the name of a source; everything else to `default`.

    Names are normalized. An exact name beats every prefix, a longer prefix a shorter one.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    prefixes: Mapping[str, str] = field(default_factory=dict)
    default: str = DEFAULT_SOURCE

    @classmethod
    def from_patterns(cls, patterns: Mapping[str, str], *, default: str = DEFAULT_SOURCE) -> Routes:
        """Return the routes of a table such as `{"acme-*": "private", "tool": "private"}`.

        `acme-*` also takes the name `acme`: a family belongs together. A lone `*` names the
        default. Raises UsageError for a pattern that is neither a name nor a prefix, and for
        two spellings of one pattern with different sources.
        """
        names: dict[str, str] = {}
        prefixes: dict[str, str] = {}
        for pattern, source in patterns.items():
            if pattern == _ANY:
                default = source
                continue
            table = prefixes if pattern.endswith(_ANY) else names
            key = _normalized(pattern)
            if table.setdefault(key, source) != source:
                raise UsageError(f"{pattern!r} is routed to both {table[key]!r} and {source!r}")
        return cls(names, prefixes, default)

    def source_of(self, name: str) -> str:
        """Return the one source that may be asked for a normalized name."""
        exact = self.names.get(name)
        if exact is not None:
            return exact
        # Only prefixes that end at a separator count: `acme-*` is not `acmeology`.
        prefix = name
        while prefix:
            if prefix in self.prefixes:
                return self.prefixes[prefix]
            prefix = prefix.rpartition("-")[0]
        return self.default

    @property
    def sources(self) -> frozenset[str]:
        """All sources that are named."""
        return frozenset({*self.names.values(), *self.prefixes.values(), self.default})


def _normalized(pattern: str) -> str:
    name = pattern.removesuffix(_ANY).rstrip("-_.") if pattern.endswith(_ANY) else pattern
    if not is_valid_name(name) or (pattern.endswith(_ANY) and pattern[-2:-1] not in {"-", "_"}):
        raise UsageError(
            f"{pattern!r} is not a route", hint="a route is a project's name, or a prefix: acme-*"
        )
    return normalize(name)
