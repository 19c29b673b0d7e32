"""Resource identifiers: `<scheme>:<reference>`, or `orn:` and `urn:` with a namespace.

A RID names one object; the part before its reference names the object's *type*. A type is
a class, so handlers and profiles can speak of it as one: `KoiNetNode` is the type and
`KoiNetNode("name+hash")` one identifier of it. Types that nobody declared come into being
when first read and accept any reference. Grammar: RID protocol, as rid-lib 3 applies it:
nothing but emptiness and the shape of the type is an error.

>>> rid = RID.from_string("orn:example.note:a:b")
>>> str(type(rid)), rid.reference
('orn:example.note', 'a:b')
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, cast

from .errors import InvalidRid

if TYPE_CHECKING:
    from typing import Self

NAMESPACE_SCHEMES = frozenset({"orn", "urn"})
MOST_DYNAMIC_TYPES = 4096
_HEX = frozenset("0123456789abcdef")

_declared: dict[str, RIDType] = {}


class RIDType(type):
    """The class of RID classes: a type is equal to any other of the same string."""

    scheme: str | None
    namespace: str | None
    text: str

    def __new__(
        mcs, name: str, bases: tuple[type, ...], body: dict[str, Any], *, declare: bool = True
    ) -> RIDType:
        """Make a class; the first declaration of a type string is the one that counts."""
        cls = super().__new__(mcs, name, bases, body)
        text = type_string(cls.scheme, cls.namespace)
        cls.text = text
        if text and declare:
            known = _declared.setdefault(text, cls)
            RID.from_string.cache_clear()
            return known
        return cls

    @classmethod
    def from_string(cls, text: str) -> RIDType:
        """Return the type named `scheme` or `scheme:namespace`; raise InvalidRid otherwise."""
        if not isinstance(text, str):
            raise InvalidRid(f"a RID type is text, not {type(text).__name__}")
        return _declared.get(text) or _dynamic(text)

    def __str__(cls) -> str:
        return cls.text or cls.__name__

    def __repr__(cls) -> str:
        return f"<RIDType {cls}>"

    def __eq__(cls, other: object) -> bool:
        if cls is other:
            return True
        return isinstance(other, RIDType) and cls.text == other.text and bool(cls.text)

    def __hash__(cls) -> int:
        return hash(cls.text)


def type_string(scheme: str | None, namespace: str | None) -> str:
    """Return `scheme[:namespace]`, or the empty string for an abstract class."""
    if not scheme or (scheme in NAMESPACE_SCHEMES and not namespace):
        return ""
    return f"{scheme}:{namespace}" if namespace else scheme


@lru_cache(maxsize=MOST_DYNAMIC_TYPES)
def _dynamic(text: str) -> RIDType:
    scheme, colon, namespace = text.partition(":")
    spaced = scheme in NAMESPACE_SCHEMES
    if not scheme or ":" in namespace or bool(colon) != spaced or bool(namespace) != spaced:
        raise InvalidRid(f"not a RID type: {text!r}")
    body = {"scheme": scheme, "namespace": namespace or None}
    return RIDType("UndeclaredRID", (RID,), body, declare=False)


class RID(metaclass=RIDType):
    """One identifier. Compared, ordered and hashed as its text; immutable by convention.

    Declare a type by subclassing with `scheme` and `namespace`; a subclass that looks into
    its reference overrides `from_reference` and the `reference` property.
    """

    scheme: ClassVar[str | None] = None
    namespace: ClassVar[str | None] = None
    _string: str

    def __init__(self, reference: str) -> None:
        if not reference:
            raise InvalidRid("the reference of a RID cannot be empty")
        self._reference = reference

    @property
    def reference(self) -> str:
        """Everything after the type, colons included."""
        return self._reference

    @classmethod
    def from_reference(cls, reference: str) -> Self:
        """Return the identifier of this type with this reference, or raise InvalidRid."""
        return cls(reference)

    @staticmethod
    @lru_cache(maxsize=8192)
    def from_string(text: str) -> RID:
        """Parse a RID; raise InvalidRid. The class of the result is its type."""
        if not isinstance(text, str):
            raise InvalidRid(f"a RID is text, not {type(text).__name__}")
        scheme, colon, rest = text.partition(":")
        kind = scheme
        if scheme in NAMESPACE_SCHEMES:
            namespace, colon, rest = rest.partition(":")
            kind = f"{scheme}:{namespace}"
        if not scheme or not colon or not rest:
            raise InvalidRid(f"not a RID: {text[:100]!r}")
        cls: Any = _declared.get(kind) or _dynamic(kind)
        try:
            found: RID = cls.from_reference(rest)
        except (TypeError, LookupError, ValueError) as error:
            raise InvalidRid(f"not a RID of type {kind}: {error}") from None
        return found

    def __str__(self) -> str:
        try:
            return self._string
        except AttributeError:
            self._string = f"{type(self).text}:{self.reference}"
            return self._string

    def __repr__(self) -> str:
        return f"<{type(self).__name__} RID {str(self)!r}>"

    def __eq__(self, other: object) -> bool:
        try:
            same: bool = self._string == cast("Any", other)._string
        except AttributeError:
            return isinstance(other, RID) and str(self) == str(other)
        return same

    def __lt__(self, other: RID) -> bool:
        return str(self) < str(other)

    def __hash__(self) -> int:
        try:
            return hash(self._string)
        except AttributeError:
            return hash(str(self))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """Let pydantic models of others hold RIDs; pydantic is theirs, not ours."""
        from pydantic_core import core_schema

        def read(value: Any) -> Any:
            return value if isinstance(value, cls) else RID.from_string(value)

        return core_schema.no_info_plain_validator_function(
            read, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        """Give pydantic the JSON schema of a RID."""
        return {"type": "string", "description": "resource identifier"}


class ORN(RID):
    """Base for declaring types of the `orn` scheme: set `namespace` in a subclass."""

    scheme: ClassVar[str | None] = "orn"


class HTTP(RID):
    """A web page by its `http:` address."""

    scheme: ClassVar[str | None] = "http"


class HTTPS(RID):
    """A web page by its `https:` address."""

    scheme: ClassVar[str | None] = "https"


class KoiNetNode(ORN):
    """`orn:koi-net.node:<name>+<id>`: the id is a key's hash (signed wire) or a UUID (1.0)."""

    namespace: ClassVar[str | None] = "koi-net.node"

    def __init__(self, name: str, id: str | None = None) -> None:  # noqa: A002
        super().__init__(name if id is None else f"{name}+{id}")
        self.name, self.id = self._split(self.reference)

    @staticmethod
    def _split(reference: str) -> tuple[str, str]:
        name, plus, rest = reference.partition("+")
        if not plus or "+" in rest:
            raise InvalidRid(f"a node's reference is <name>+<id>, not {reference[:100]!r}")
        return name, rest

    @property
    def uuid(self) -> str:
        """The id, by the name that it has in protocol 1.0."""
        return self.id

    @property
    def hash(self) -> str:
        """The id, by the name that it has since protocol 1.1."""
        return self.id

    @property
    def names_key(self) -> bool:
        """Whether the id has the form of a key's hash, so that the node must prove it."""
        return len(self.id) == 64 and set(self.id) <= _HEX

    @classmethod
    def generate(cls, name: str) -> KoiNetNode:
        """Return a new RID as protocol 1.0 makes them: the name and a random UUID."""
        from uuid import uuid4

        return cls(name, str(uuid4()))


class KoiNetEdge(ORN):
    """`orn:koi-net.edge:<id>`: receivers never recompute the id, any unique text will do."""

    namespace: ClassVar[str | None] = "koi-net.edge"

    @property
    def id(self) -> str:
        """The reference."""
        return self.reference

    @classmethod
    def generate(cls, source: RID, target: RID) -> KoiNetEdge:
        """Return the RID of the edge between two nodes, as protocol 1.1 and later make it."""
        from hashlib import sha256

        return cls(sha256(f"{source}{target}".encode()).hexdigest())
