"""XML-RPC as far as an index speaks it: calls with integers, answers read as they arrive.

An answer comes from a stranger. So there is no document type (hence no entities to expand and
none to fetch), and size, depth and the number of values are limited; what goes beyond is
UpstreamInvalid. http://xmlrpc.com/spec.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from dpip.simple.repository import UpstreamInvalid, UpstreamUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

MEBIBYTE = 2**20
LARGEST = 64 * MEBIBYTE
"""Bytes of an answer: some fifty thousand events have 20 MB."""
MOST_VALUES = 2_000_000
DEEPEST = 32
"""Elements within each other; an event's fields are nine deep."""
LONGEST_NUMBER = 20

Value = Any
"""None, bool, int, float, str, or a list of values, or a dict of them by name."""


def encode_call(method: str, *numbers: int) -> bytes:
    """Return the body of a call."""
    params = "".join(f"<param><value><int>{number}</int></value></param>" for number in numbers)
    return (
        f"<?xml version='1.0'?>\n<methodCall><methodName>{method}</methodName>"
        f"<params>{params}</params></methodCall>\n"
    ).encode()


class AnswerReader:
    """Turns the bytes of an answer into its value."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = _refuse_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._take_text
        self._size = self._values = self._depth = 0
        self._text: list[str] = []
        self._kind: str | None = None
        self._open: list[list[Value] | dict[str, Value]] = [[]]
        self._names: list[str] = []
        self._is_fault = False

    def feed(self, data: bytes) -> None:
        """Read on. Raises UpstreamInvalid."""
        self._size += len(data)
        if self._size > LARGEST:
            raise UpstreamInvalid(f"an XML-RPC answer of more than {LARGEST} bytes")
        self._parse(data, final=False)

    def finish(self) -> Value:
        """Return the value. Raises UpstreamInvalid, and UpstreamUnavailable for a fault."""
        self._parse(b"", final=True)
        [values] = self._open
        if not isinstance(values, list) or len(values) != 1:
            raise UpstreamInvalid("an XML-RPC answer with more or less than one value")
        if self._is_fault:
            raise UpstreamUnavailable(f"upstream refuses an XML-RPC call: {_fault(values[0])}")
        return values[0]

    def _parse(self, data: bytes, *, final: bool) -> None:
        try:
            self._parser.Parse(data, final)
        except expat.ExpatError as error:
            raise UpstreamInvalid(f"an XML-RPC answer that is no XML: {error}") from None

    def _start(self, tag: str, _attributes: object) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise UpstreamInvalid("an XML-RPC answer with values too deep in each other")
        self._text.clear()
        if tag == "fault":
            self._is_fault = True
        elif tag == "value":
            self._kind = "string"
        elif tag in {"array", "struct"}:
            self._kind = None
            self._open.append([] if tag == "array" else {})
        elif tag in _SCALARS:
            self._kind = tag

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if tag == "name":
            self._names.append("".join(self._text))
        elif tag in {"array", "struct"}:
            self._keep(self._open.pop())
        elif tag in _SCALARS or (tag == "value" and self._kind is not None):
            # Text without an element of its own is a string.
            self._keep(_scalar(self._kind or tag, "".join(self._text)))
        elif tag not in _FRAME:
            raise UpstreamInvalid(f"an XML-RPC answer with an element {tag!r}")
        self._text.clear()

    def _take_text(self, text: str) -> None:
        self._text.append(text)

    def _keep(self, value: Value) -> None:
        self._values += 1
        if self._values > MOST_VALUES:
            raise UpstreamInvalid(f"an XML-RPC answer of more than {MOST_VALUES} values")
        self._kind = None
        inside = self._open[-1]
        if isinstance(inside, list):
            inside.append(value)
        elif self._names:
            inside[self._names.pop()] = value
        else:
            raise UpstreamInvalid("an XML-RPC answer with a member that has no name")


def _refuse_doctype(*_: object) -> None:
    raise UpstreamInvalid("an XML-RPC answer with a document type")


def _fault(value: Value) -> str:
    text = value.get("faultString") if isinstance(value, dict) else None
    return str(text)[:200]


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise ValueError(text[:LONGEST_NUMBER])
    return int(text)


_SCALARS: dict[str, Callable[[str], Value]] = {
    "string": str,
    "int": _integer,
    "i4": _integer,
    "i8": _integer,
    "boolean": lambda text: {"0": False, "1": True}[text],
    "double": float,
    "dateTime.iso8601": str,
    "base64": str,
    "nil": lambda _: None,
}
_FRAME = {
    "methodResponse", "params", "param", "fault", "value", "array", "data", "struct", "member",
    "name",
}  # fmt: skip


def _scalar(kind: str, text: str) -> Value:
    try:
        return _SCALARS[kind](text if kind == "string" else text.strip())
    except (ValueError, KeyError):
        raise UpstreamInvalid(f"an XML-RPC {kind} that reads {text[:50]!r}") from None
