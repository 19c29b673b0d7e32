"""Rules over core metadata: which releases a mirror keeps by what they say of themselves.

    metadata = { license = ["MIT*", "BSD*"], classifier = "!Development Status :: 7*" }

For each field some value must match one of its patterns, and none may match a pattern that
begins with an exclamation mark. Patterns are shell patterns without regard to case. A release
is judged by one of its files, for the files of a release say the same. Pure; no I/O.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.metadata import parse_email

from dpip.errors import UsageError
from dpip.mirror.filters import python_allows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
FIELDS = {
    "author": ("author",),
    "author-email": ("author_email",),
    "classifier": ("classifiers",),
    "keywords": ("keywords",),
    "license": ("license_expression", "license"),
    "maintainer": ("maintainer",),
    "maintainer-email": ("maintainer_email",),
    "platform": ("platforms",),
    "project-url": ("project_urls", "home_page"),
    "requires-dist": ("requires_dist",),
    "requires-python": ("requires_python",),
    "summary": ("summary",),
}
"""Names in the configuration to names in packaging's raw metadata."""
_LICENSE = "license :: "


@dataclass(frozen=True, slots=True)
class FieldRule:
    """The patterns for one field; `requires-python` has versions of Python in their place."""

    field: str
    wanted: tuple[str, ...]
    refused: tuple[str, ...]

    def excludes(self, values: Iterable[str]) -> str | None:
        """Return why a release with these values is left out, or None if it is kept."""
        given = [value.lower() for value in values]
        for pattern in self.refused:
            if any(self._fits(pattern, value) for value in given):
                return f"its {self.field} is {pattern}"
        if not self.wanted or any(self._fits(p, value) for p in self.wanted for value in given):
            return None
        return f"its {self.field} is not {' or '.join(self.wanted)}"

    def _fits(self, pattern: str, value: str) -> bool:
        if self.field == "requires-python":
            return _allows(value, pattern)
        return fnmatch.fnmatchcase(value, pattern.lower())


@dataclass(frozen=True, slots=True)
class MetadataRules:
    """All rules over metadata; each must be kept."""

    rules: tuple[FieldRule, ...]

    def excludes(self, values: Mapping[str, Iterable[str]]) -> str | None:
        """Return why a release is left out; `values` are those of `values_of`."""
        reasons = (rule.excludes(values.get(rule.field, ())) for rule in self.rules)
        return next((reason for reason in reasons if reason is not None), None)


def values_of(body: bytes) -> dict[str, list[str]]:
    """Return the values of each field of a METADATA file; never raises."""
    raw, _ = parse_email(body)
    found = {field: list(_values(raw, keys)) for field, keys in FIELDS.items()}
    # A licence may be named in three places; the last part of a classifier names one too.
    found["license"] += [
        classifier.rpartition(" :: ")[2]
        for classifier in found["classifier"]
        if classifier.lower().startswith(_LICENSE)
    ]
    # No bound on Python is a bound that allows all.
    found["requires-python"] = found["requires-python"] or [""]
    return found


def _values(raw: Mapping[str, Any], keys: Iterable[str]) -> Iterable[str]:
    for key in keys:
        value = raw.get(key, ())
        if isinstance(value, str):
            yield value.strip()
        elif isinstance(value, dict):
            yield from (f"{label}, {url}" for label, url in value.items())
        else:
            yield from value


def _allows(requires_python: str, version: str) -> bool:
    major, minor = version.split(".")[:2]
    return python_allows(requires_python, int(major), int(minor))


def read_rules(table: Mapping[str, Any]) -> MetadataRules | None:
    """Return the rules that a configuration table describes. Raises UsageError naming the key."""
    rules = tuple(_rule(field, given) for field, given in sorted(table.items()))
    return MetadataRules(rules) if rules else None


def _rule(field: str, given: Any) -> FieldRule:
    patterns = [given] if isinstance(given, str) else given
    if field not in FIELDS:
        raise UsageError(f"mirror: metadata: unknown field {field!r}", hint=", ".join(FIELDS))
    if not _are_patterns(patterns):
        raise UsageError(f"mirror: metadata.{field} must be a pattern, or a list of them")
    wanted = tuple(p for p in patterns if not p.startswith("!"))
    refused = tuple(p[1:] for p in patterns if p.startswith("!"))
    if field == "requires-python":
        for version in wanted + refused:
            if not re.fullmatch(r"\d+\.\d+(\.\d+)?", version):
                raise UsageError(f"mirror: metadata.{field}: {version!r} is no version of Python")
    return FieldRule(field, wanted, refused)


def _are_patterns(given: Any) -> bool:
    return bool(given) and isinstance(given, list) and all(isinstance(p, str) and p for p in given)
