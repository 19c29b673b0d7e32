"""KOI-net: nodes that tell each other what they know.

A complete implementation of the protocol, plain (1.0) and signed (1.1 to 2.1): durable
queues, an SQLite cache, concurrent delivery. Start with `NodeInterface`; `server` makes a
full node of it, `testing` runs whole networks in one process.
"""

from __future__ import annotations

from .bundle import Bundle, Manifest
from .cache import BundleCache, Cache
from .errors import KoiError
from .node import NodeInterface
from .processor.handler import STOP_CHAIN, HandlerType, KnowledgeHandler
from .processor.knowledge_object import KnowledgeObject, KnowledgeSource
from .protocol.event import Event, EventType
from .rid import HTTP, HTTPS, ORN, RID, KoiNetEdge, KoiNetNode, RIDType

__all__ = [
    "HTTP",
    "HTTPS",
    "ORN",
    "RID",
    "STOP_CHAIN",
    "Bundle",
    "BundleCache",
    "Cache",
    "Event",
    "EventType",
    "HandlerType",
    "KnowledgeHandler",
    "KnowledgeObject",
    "KnowledgeSource",
    "KoiError",
    "KoiNetEdge",
    "KoiNetNode",
    "Manifest",
    "NodeInterface",
    "RIDType",
]
