"""Which representation a client wants: `?format=` first, then the `Accept` header (IPIP-523)."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import InvalidArgument
from ..selection import ByteRange, Scope

if TYPE_CHECKING:
    from .request import Request

RAW = "application/vnd.ipld.raw"
CAR = "application/vnd.ipld.car"
TAR = "application/x-tar"
IPNS_RECORD = "application/vnd.ipfs.ipns-record"
FORMATS = {
    "raw": RAW,
    "car": CAR,
    "tar": TAR,
    "json": "application/json",
    "cbor": "application/cbor",
    "dag-json": "application/vnd.ipld.dag-json",
    "dag-cbor": "application/vnd.ipld.dag-cbor",
    "ipns-record": IPNS_RECORD,
}
_NAMES = {media_type: name for name, media_type in FORMATS.items()}
_EXPLICIT = ("application/vnd.ipld", "application/vnd.ipfs", TAR, FORMATS["json"], FORMATS["cbor"])


@dataclass(frozen=True, slots=True)
class Format:
    """A media type asked for by name, empty for whatever the content is, and its parameters."""

    media_type: str = ""
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CarOptions:
    """What a CAR should hold and how."""

    scope: Scope = "all"
    byte_range: ByteRange | None = None
    order: str = "dfs"
    duplicates: bool = False

    @property
    def content_type(self) -> str:
        """The media type with the parameters in force."""
        return f"{CAR}; version=1; order={self.order}; dups={'y' if self.duplicates else 'n'}"


def negotiate(request: Request) -> Format:
    """Return the format asked for. Media types of no concern to IPFS are passed over."""
    asked = FORMATS.get(request.query.get("format", ""), "")
    accepted = _accepted(request.header("accept"))
    if asked and accepted.media_type != asked:
        return Format(asked)
    return accepted


def content_location(request: Request, chosen: Format) -> str | None:
    """Return the URL under which caches can tell this representation from others."""
    name = _NAMES.get(chosen.media_type)
    if name is None or request.query.get("format") == name:
        return None
    query = {**request.query, "format": name}
    for key, value in chosen.parameters:
        query.setdefault(f"{name}-{key}", value)
    return f"{request.raw_path}?{urllib.parse.urlencode(sorted(query.items()))}"


def car_options(request: Request, chosen: Format) -> CarOptions:
    """Read the parameters of a CAR; those in the URL win. Raises InvalidArgument."""
    given = dict(chosen.parameters)
    for name in ("version", "order", "dups"):
        if request.query.get(f"car-{name}"):
            given[name] = request.query[f"car-{name}"]
    if given.get("version", "1") not in {"", "1"}:
        raise InvalidArgument("only CAR version=1 is supported")
    order = given.get("order") or "dfs"
    if order not in {"dfs", "unk"}:
        raise InvalidArgument(f"unsupported CAR order {order!r}")
    if given.get("dups", "") not in {"", "y", "n"}:
        raise InvalidArgument(f"unsupported CAR dups {given['dups']!r}")
    byte_range = request.query.get("entity-bytes")
    return CarOptions(
        _scope(request.query.get("dag-scope", "all")),
        None if byte_range is None else ByteRange.parse(byte_range),
        order,
        given.get("dups") == "y",
    )


def _scope(text: str) -> Scope:
    match text:
        case "block" | "entity" | "all":
            return text
    raise InvalidArgument(f"unsupported dag-scope {text!r}")


def _accepted(header: str) -> Format:
    for option in header.split(","):
        if option.strip().startswith(_EXPLICIT):
            media_type, *parameters = (part.strip() for part in option.split(";"))
            pairs = (parameter.partition("=") for parameter in parameters)
            return Format(media_type.lower(), tuple((k.lower(), v.strip('"')) for k, _, v in pairs))
    return Format()
