"""What all models of the protocol share: one way in, one way out.

Models are plain dataclasses, read and written by msgspec. A program that uses FastAPI or
pydantic can put them into its routes and models all the same: the hooks below build
pydantic's schema when, and only when, pydantic asks.
"""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from .canonical import to_json_value, wire_form
from .errors import InvalidContents, InvalidRid, MalformedMessage
from .rid import RID, RIDType

if TYPE_CHECKING:
    from typing import Self

T = TypeVar("T")
E = TypeVar("E", bound=Enum)


class WireModel:
    """Base of the models: equality, order and repr are the dataclass's."""

    __slots__ = ()

    def to_json(self) -> bytes:
        """Return compact JSON; fields that are None are written as null."""
        return wire_form(self)

    # The original's models are pydantic's; programs written for them call these.

    def model_dump(self, *, mode: str = "python", exclude_none: bool = False) -> dict[str, Any]:
        """Return the fields as JSON values; `mode` makes no difference to these models."""
        del mode
        plain: dict[str, Any] = to_plain(self)
        return _without_none(plain) if exclude_none else plain

    def model_dump_json(self, *, indent: int | None = None, exclude_none: bool = False) -> str:
        """Return JSON text."""
        found = wire_form(self.model_dump(exclude_none=exclude_none))
        return (found if indent is None else msgspec.json.format(found, indent=indent)).decode()

    @classmethod
    def model_validate(cls, value: Any) -> Self:
        """Read JSON values; raise InvalidContents."""
        return value if isinstance(value, cls) else convert(value, cls)

    @classmethod
    def model_validate_json(cls, text: str | bytes) -> Self:
        """Read JSON text; raise MalformedMessage."""
        return decode(text.encode() if isinstance(text, str) else text, cls)

    def model_copy(self, *, update: dict[str, Any] | None = None) -> Self:
        """Return a copy, with some fields changed."""
        return cast("Self", dataclasses.replace(cast("Any", self), **(update or {})))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Describe this model to pydantic, for those who use it."""
        from pydantic_core import core_schema

        def read(value: Any) -> Any:
            # FastAPI hands over the raw body where the sender, as in protocol 1.0, does not
            # say that it is JSON.
            return (
                cls.model_validate_json(value)
                if isinstance(value, bytes)
                else cls.model_validate(value)
            )

        return core_schema.no_info_plain_validator_function(
            read, serialization=core_schema.plain_serializer_function_ser_schema(to_plain)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        """Give pydantic the JSON schema of this model."""
        return json_schema(cls)


def quick(kind: type[E]) -> type[E]:
    """Make `Kind.MEMBER` a plain attribute, as it is from Python 3.12 on: it was a call before."""
    for name, member in kind.__members__.items():
        type.__setattr__(kind, name, member)
    return kind


def _without_none(plain: dict[str, Any]) -> dict[str, Any]:
    """Leave out fields that are None, and keep whatever is inside of contents."""
    found: dict[str, Any] = {}
    for name, value in plain.items():
        if isinstance(value, dict) and name != "contents":
            found[name] = _without_none(value)
        elif isinstance(value, list):
            found[name] = [_without_none(v) if isinstance(v, dict) else v for v in value]
        elif value is not None:
            found[name] = value
    return found


def read_rid(kind: type[Any], value: Any) -> Any:
    """Make a RID or a RID type of its text; the hook of every decoder."""
    if kind is RID and type(value) is str:
        return RID.from_string(value)
    if issubclass(kind, RIDType):
        return value if isinstance(value, RIDType) else RIDType.from_string(value)
    rid = value if isinstance(value, RID) else RID.from_string(value)
    if not isinstance(rid, kind) and str(type(rid)) != str(kind):
        raise InvalidRid(f"{rid} is not a {kind.__name__}")
    return rid


@lru_cache(maxsize=256)
def _decoder(kind: Any, *, strict: bool) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, dec_hook=read_rid, strict=strict)


def decode(body: bytes, kind: type[T]) -> T:
    """Read a JSON body as one of the models; raise MalformedMessage.

    The second, lenient try takes what pydantic takes too: numbers for times, "5" for 5.
    """
    with suppress(msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
        return cast("T", _decoder(cast("Any", kind), strict=True).decode(body))
    try:
        return cast("T", _decoder(cast("Any", kind), strict=False).decode(body))
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as error:
        raise MalformedMessage(_readable(error)) from None


def convert(value: Any, kind: type[T]) -> T:
    """Read JSON values as one of the models; raise InvalidContents."""
    try:
        return msgspec.convert(value, kind, dec_hook=read_rid, strict=False)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise InvalidContents(_readable(error)) from None


def to_plain(value: Any) -> Any:
    """Return a model as dicts, lists and text."""
    return msgspec.to_builtins(value, enc_hook=to_json_value)


def as_text(kind: type[Any]) -> dict[str, Any]:
    """Describe RIDs and their types to a JSON schema generator."""
    if issubclass(kind, RID):
        return {"type": "string", "description": "resource identifier"}
    if issubclass(kind, RIDType):
        return {"type": "string", "description": "type of a resource identifier"}
    raise NotImplementedError(kind)


def json_schema(cls: type[Any]) -> dict[str, Any]:
    """Return one self-contained JSON schema; references to parts are written out."""
    (schema,), parts = msgspec.json.schema_components([cls], schema_hook=as_text)
    return cast("dict[str, Any]", _inlined(schema, parts))


def _inlined(node: Any, parts: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, parts) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(parts[node["$ref"].rsplit("/", 1)[1]], parts)
    return {key: _inlined(value, parts) for key, value in node.items()}


def _readable(error: BaseException) -> str:
    return str(error)[:300] or type(error).__name__
