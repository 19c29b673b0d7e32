"""Which form of a page a client gets: HTTP's Accept rules as PEP 691 applies them.

A client that says nothing, or that takes anything, gets HTML, as clients older than PEP 691
expect. `latest` asks for the newest version; the answer names the version that it is.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

from dpip.errors import DpipError

PREFIX = "application/vnd.pypi.simple."


class NotAcceptable(DpipError):
    """The client takes none of the forms that an index page has."""

    slug = "not-acceptable"
    default_hint = f"ask for text/html, {PREFIX}v1+html or {PREFIX}v1+json"


class Form(Enum):
    """A form of a page; the value is its Content-Type."""

    TEXT_HTML = "text/html; charset=utf-8"
    HTML = f"{PREFIX}v1+html"
    JSON = f"{PREFIX}v1+json"

    @property
    def is_json(self) -> bool:
        """Whether the body is JSON."""
        return self is Form.JSON


# In our order of preference, for clients that like two forms the same.
_OFFERS: tuple[tuple[str, Form], ...] = (
    ("text/html", Form.TEXT_HTML),
    (f"{PREFIX}v1+json", Form.JSON),
    (f"{PREFIX}v1+html", Form.HTML),
    (f"{PREFIX}latest+json", Form.JSON),
    (f"{PREFIX}latest+html", Form.HTML),
)


@lru_cache(maxsize=256)
def choose_form(accept: str | None, override: str | None = None) -> Form:
    """Return the form for an Accept header, or for PEP 691's `format` parameter.

    Raises NotAcceptable where the client takes none of ours.
    """
    if override is not None:
        return _named(override)
    if accept is None or not accept.strip():
        return Form.TEXT_HTML
    ranges = _parse(accept)
    best, best_quality = Form.TEXT_HTML, 0.0
    for media_type, form in _OFFERS:
        quality = _quality(media_type, ranges)
        if quality > best_quality:
            best, best_quality = form, quality
    if best_quality == 0:
        raise NotAcceptable(f"no form of this page is {accept[:200]!r}")
    return best


def _named(media_type: str) -> Form:
    for offered, form in _OFFERS:
        if media_type == offered:
            return form
    raise NotAcceptable(f"no form of this page is {media_type[:200]!r}")


def _parse(header: str) -> dict[str, float]:
    """Return media range (or coding) to quality; a broken quality counts as zero."""
    ranges: dict[str, float] = {}
    for item in header.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        if name:
            ranges[name] = max(ranges.get(name, 0.0), _q(parameters))
    return ranges


def _q(parameters: list[str]) -> float:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                return 0.0
            return quality if 0.0 <= quality <= 1.0 else 0.0
    return 1.0


def _quality(media_type: str, ranges: dict[str, float]) -> float:
    # The most specific range decides, as RFC 9110 section 12.5.1 says.
    family = media_type.partition("/")[0]
    for candidate in (media_type, f"{family}/*", "*/*"):
        if candidate in ranges:
            return ranges[candidate]
    return 0.0


@lru_cache(maxsize=256)
def accepts_gzip(accept_encoding: str | None) -> bool:
    """Say whether a client takes gzip (RFC 9110 section 12.5.3)."""
    if not accept_encoding:
        return False
    codings = _parse(accept_encoding)
    return codings.get("gzip", codings.get("x-gzip", codings.get("*", 0.0))) > 0
