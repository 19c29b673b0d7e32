"""How pydantic sees our models. Imported only by those who have pydantic loaded already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ..rid import RID, RIDType
from .model import convert, to_plain

if TYPE_CHECKING:
    from collections.abc import Callable


def model_schema(cls: type[Any]) -> Any:
    """Return a core schema that reads dicts (or takes instances) and writes dicts."""
    from pydantic_core import core_schema

    def read(value: Any) -> Any:
        return value if isinstance(value, cls) else convert(value, cls)

    return core_schema.no_info_plain_validator_function(
        read, serialization=core_schema.plain_serializer_function_ser_schema(to_plain)
    )


def text_schema(cls: type[Any], parse: Callable[[str], Any]) -> Any:
    """Return a core schema for something that is text on the wire."""
    from pydantic_core import core_schema

    def read(value: Any) -> Any:
        return value if isinstance(value, cls) else parse(value)

    return core_schema.no_info_after_validator_function(
        read,
        core_schema.any_schema(),
        serialization=core_schema.plain_serializer_function_ser_schema(str),
    )


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
    found = _inlined(schema, parts)
    if not isinstance(found, dict):
        raise TypeError("a model's schema is an object")
    return found


def _inlined(node: Any, parts: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, parts) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(parts[node["$ref"].rsplit("/", 1)[1]], parts)
    return {key: _inlined(value, parts) for key, value in node.items()}
