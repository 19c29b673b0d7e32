"""One requirement line, read (PEP 508 and the dependency specifiers standard).

An index answers with thousands of such lines, nearly all of one simple form; that form is one
regular expression here.
"""

from __future__ import annotations

import re
from functools import lru_cache

from dpip.errors import UsageError
from dpip.resolve.facts import Requirement
from dpip.resolve.names import normalize

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_LINE = re.compile(
    rf"""\s*(?P<name>{_NAME})\s*
    (?:\[(?P<extras>[^\]]*)\]\s*)?
    (?:
        @\s*(?P<url>\S+?)(?:\s+;(?P<url_marker>.*)|\s*)
        |\((?P<parenthesized>[^()]*)\)\s*(?:;(?P<second_marker>.*))?
        |(?P<specifier>[<>=!~][^;]*)?(?:;(?P<marker>.*))?
    )$""",
    re.VERBOSE | re.DOTALL,
)
_EXTRA = re.compile(_NAME)
_SURE = re.compile(
    r"(?:[<>]=?|[=!]=)\d{1,9}(?:\.\d{1,9})*(?:,(?:[<>]=?|[=!]=)\d{1,9}(?:\.\d{1,9})*)*"
)
"""Specifiers so plain that they need no reading to be known for valid: most are."""


class InvalidRequirement(UsageError):
    """Text that was to be a requirement is none."""

    slug = "invalid-requirement"


@lru_cache(maxsize=32768)
def parse(text: str) -> Requirement:
    """Return the parts of a requirement with a name. Raises InvalidRequirement."""
    match = _LINE.match(text)
    if match is None:
        raise InvalidRequirement(f"not a requirement: {text!r}")
    parts = match.groupdict()
    marker = parts["marker"] or parts["second_marker"] or parts["url_marker"] or ""
    return Requirement(
        normalize(parts["name"]),
        _specifier(parts["specifier"] or parts["parenthesized"] or "", text),
        _extras(parts["extras"] or "", text),
        _marker(marker, text),
        parts["url"] or "",
    )


def _specifier(written: str, text: str) -> str:
    specifier = "".join(written.split()).rstrip(",")
    if not specifier or _SURE.fullmatch(specifier):
        return specifier
    # Imported when needed: the first question of a resolve goes out before this is loaded.
    from dpip.resolve import versions

    if not versions.is_valid(specifier):
        raise InvalidRequirement(f"not a version specifier in {text!r}: {written.strip()!r}")
    return specifier


def _extras(written: str, text: str) -> tuple[str, ...]:
    names = [part.strip() for part in written.split(",")] if written.strip() else []
    for name in names:
        if not _EXTRA.fullmatch(name):
            raise InvalidRequirement(f"not a list of extras in {text!r}: {written!r}")
    return tuple(sorted({normalize(name) for name in names}))


def _marker(written: str, text: str) -> str:
    marker = written.strip()
    if marker:
        from dpip.resolve import markers

        try:
            markers.parse(marker)
        except markers.InvalidMarker as error:
            raise InvalidRequirement(f"in {text!r}: {error.message}") from None
    return marker
