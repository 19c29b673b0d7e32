"""The mirror's configuration: a TOML table to `Filters`, with errors that name the key.

[mirror]
allow = ["flask", "django*"]      # names and shell patterns; also: deny, regex
requirements = ["requirements.txt"]
with-dependencies = true          # the closure over `pythons` and `platforms`
versions = { django = ">=4.2" }
latest = 2
prereleases = false
sdists = true
platforms = ["linux", "win_amd64"]
pythons = ["3.11", "3.12"]
max-size = 104857600
uploaded-after = "2024-01-01T00:00:00Z"   # also: uploaded-before
status = ["active", "deprecated"]
changelog = true                  # follow upstream's changelog where it has one
metadata = { license = "MIT*" }   # over core metadata; see `metadata_rules`
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from dpip.errors import UsageError
from dpip.mirror.filters import (
    EachFile,
    Filters,
    Latest,
    Names,
    Rule,
    Status,
    Versions,
    at_most,
    for_platforms,
    for_pythons,
    no_prereleases,
    no_sdists,
    uploaded,
)
from dpip.mirror.metadata_rules import MetadataRules, read_rules
from dpip.simple.names import normalize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

KINDS: dict[str, type | tuple[type, ...]] = {
    "allow": list,
    "deny": list,
    "regex": list,
    "requirements": list,
    "with-dependencies": bool,
    "versions": dict,
    "latest": int,
    "prereleases": bool,
    "sdists": bool,
    "platforms": list,
    "pythons": list,
    "max-size": int,
    "uploaded-after": str,
    "uploaded-before": str,
    "status": list,
    "metadata": dict,
    "changelog": bool,
}


@dataclass(frozen=True, slots=True)
class Selection:
    """A mirror's configuration: the filters, and the closure to follow, if any.

    `roots` are the requirements whose dependencies are mirrored too, when
    `with_dependencies`; `metadata` judges releases by what their wheels say.
    """

    filters: Filters
    roots: tuple[str, ...] = ()
    with_dependencies: bool = False
    pythons: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    metadata: MetadataRules | None = None
    changelog: bool = True


def read_selection(table: Mapping[str, Any], read_text: Callable[[str], str]) -> Selection:
    """Return the selection that a configuration table describes.

    `read_text` returns the text of a requirements file. Raises UsageError naming the key.
    """
    _check_kinds(table)
    requirements = list(_requirements(table.get("requirements", []), read_text))
    listed = [str(name) for name in table.get("allow", [])]
    names = Names(
        allow=frozenset([*map(_pattern, listed), *(normalize(r.name) for r in requirements)]),
        deny=frozenset(_pattern(str(name)) for name in table.get("deny", [])),
        regex=tuple(_compile(str(pattern)) for pattern in table.get("regex", [])),
    )
    ranges = _ranges(table.get("versions", {}), requirements)
    latest = Latest(table["latest"]) if "latest" in table else None
    return Selection(
        filters=Filters(names, tuple(_rules(table, ranges)), latest),
        roots=(*(name for name in listed if not set(name) & set("*?[")), *map(str, requirements)),
        with_dependencies=table.get("with-dependencies", False),
        pythons=tuple(table.get("pythons", ())),
        platforms=tuple(table.get("platforms", ())),
        metadata=read_rules(table.get("metadata", {})),
        changelog=table.get("changelog", True),
    )


def _rules(table: Mapping[str, Any], ranges: Mapping[str, SpecifierSet]) -> Iterable[Rule]:
    if ranges:
        yield Versions(ranges)
    if "status" in table:
        yield Status(frozenset(table["status"]))
    if not table.get("prereleases", True):
        yield EachFile(no_prereleases)
    if not table.get("sdists", True):
        yield EachFile(no_sdists)
    if "max-size" in table:
        yield EachFile(at_most(table["max-size"]))
    if "uploaded-after" in table or "uploaded-before" in table:
        bounds = _moment(table, "uploaded-after"), _moment(table, "uploaded-before")
        yield EachFile(uploaded(*bounds))
    if "platforms" in table:
        yield EachFile(for_platforms(table["platforms"]))
    if "pythons" in table:
        yield EachFile(for_pythons(_python(str(version)) for version in table["pythons"]))


def _check_kinds(table: Mapping[str, Any]) -> None:
    for key, value in table.items():
        kind = KINDS.get(key)
        if kind is None:
            raise UsageError(f"mirror: unknown key {key!r}", hint=f"known: {', '.join(KINDS)}")
        right = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
        if not right:
            raise UsageError(f"mirror: {key} = {value!r} is of the wrong kind")
        if isinstance(value, list):
            for item in value:
                _check_item(key, item)
    for key in ("latest", "max-size"):
        if table.get(key, 1) < 1:
            raise UsageError(f"mirror: {key} must be at least 1")


def _check_item(key: str, item: object) -> None:
    # An unquoted 3.10 would be 3.1.
    if not isinstance(item, str) or not item.strip():
        raise UsageError(f"mirror: {key}: {item!r} is not text, or empty", hint="quote it")


def _moment(table: Mapping[str, Any], key: str) -> str | None:
    """Return a bound of upload times as those are written, in UTC and without the zone.

    So that texts compare as times do, with fractions of seconds or without.
    """
    if key not in table:
        return None
    try:
        given = datetime.fromisoformat(table[key])
    except ValueError:
        raise UsageError(
            f"mirror: {key} = {table[key]!r} is no time",
            hint="ISO 8601: 2026-01-31, or with T12:00:00Z",
        ) from None
    in_utc = given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
    return in_utc.replace(tzinfo=None).isoformat()


def _pattern(name: str) -> str:
    """Normalize a name, and leave the signs of a shell pattern alone."""
    return normalize(name)


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UsageError(f"mirror: regex {pattern!r}: {error}") from None


def _python(version: str) -> str:
    if not re.fullmatch(r"\d+\.\d+(\.\d+)?", version):
        raise UsageError(f'mirror: pythons: {version!r} is no Python version such as "3.12"')
    return version


def _requirements(paths: Iterable[str], read_text: Callable[[str], str]) -> Iterable[Requirement]:
    for path in paths:
        for line in read_text(path).splitlines():
            text = line.split(" #")[0].strip()
            if not text or text.startswith(("#", "-")):
                continue
            try:
                yield Requirement(text)
            except InvalidRequirement as error:
                raise UsageError(f"{path}: {text!r}: {error}") from None


def _ranges(
    table: Mapping[str, Any], requirements: Iterable[Requirement]
) -> dict[str, SpecifierSet]:
    """Return ranges by name: those of the table, narrowed by those of requirements files."""
    ranges: dict[str, SpecifierSet] = {}
    for name, text in table.items():
        try:
            ranges[normalize(name)] = SpecifierSet(str(text))
        except InvalidSpecifier as error:
            raise UsageError(f"mirror: versions.{name}: {error}") from None
    for requirement in requirements:
        name = normalize(requirement.name)
        if requirement.specifier:
            ranges[name] = ranges.get(name, SpecifierSet()) & requirement.specifier
    return ranges
