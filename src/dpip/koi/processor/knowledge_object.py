"""What moves through the pipeline: a RID and everything known about it so far."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ..bundle import Bundle, Manifest
from ..model import WireModel, quick
from ..protocol.event import Event, EventType
from ..rid import RID, KoiNetNode

if TYPE_CHECKING:
    from typing import Self

KnowledgeEventType = EventType | None


@quick
class KnowledgeSource(StrEnum):
    """Where knowledge comes from: this node, or another one."""

    Internal = "INTERNAL"
    External = "EXTERNAL"


@dataclass(slots=True, eq=False)
class KnowledgeObject(WireModel):
    """A container for RIDs, manifests, bundles and events; handlers fill it in.

    `normalized_event_type` says what happened from the point of view of this node's cache,
    `network_targets` who will be told. `sender` is the node that signed the event, None for
    this node's own knowledge and for messages without a signature. `verified` is False when
    the contents do not have the hash that the manifest names.
    """

    rid: RID
    manifest: Manifest | None = None
    contents: dict[str, Any] | None = None
    event_type: KnowledgeEventType = None
    source: KnowledgeSource = KnowledgeSource.Internal
    normalized_event_type: KnowledgeEventType = None
    network_targets: set[KoiNetNode] = field(default_factory=set)
    sender: KoiNetNode | None = None
    verified: bool = True

    @classmethod
    def from_rid(
        cls, rid: RID, event_type: KnowledgeEventType = None, source: Any = KnowledgeSource.Internal
    ) -> KnowledgeObject:
        """Wrap a RID."""
        return cls(rid, event_type=event_type, source=source)

    @classmethod
    def from_manifest(
        cls,
        manifest: Manifest,
        event_type: KnowledgeEventType = None,
        source: Any = KnowledgeSource.Internal,
    ) -> KnowledgeObject:
        """Wrap a manifest."""
        return cls(manifest.rid, manifest, event_type=event_type, source=source)

    @classmethod
    def from_bundle(
        cls,
        bundle: Bundle,
        event_type: KnowledgeEventType = None,
        source: Any = KnowledgeSource.Internal,
    ) -> KnowledgeObject:
        """Wrap a bundle."""
        return cls(bundle.rid, bundle.manifest, bundle.contents, event_type, source)

    @classmethod
    def from_event(
        cls, event: Event, source: KnowledgeSource = KnowledgeSource.Internal
    ) -> KnowledgeObject:
        """Wrap an event; a manifest that speaks of another RID is not taken."""
        manifest = event.manifest if event.manifest and event.manifest.rid == event.rid else None
        contents = event.contents if manifest else None
        return cls(event.rid, manifest, contents, event.event_type, source)

    def model_copy(self, *, update: dict[str, Any] | None = None) -> Self:
        """Return a copy that shares contents and targets with this one."""
        changes = {} if update is None else update
        return type(self)(**{name: getattr(self, name) for name in _FIELDS} | changes)

    @property
    def bundle(self) -> Bundle | None:
        """The bundle, once manifest and contents are known."""
        if self.manifest is None or self.contents is None:
            return None
        return Bundle(self.manifest, self.contents)

    @property
    def normalized_event(self) -> Event | None:
        """The event that other nodes will be sent, once the pipeline has decided on one."""
        if self.normalized_event_type is None:
            return None
        return Event(self.rid, self.normalized_event_type, self.manifest, self.contents)


_FIELDS = tuple(field.name for field in fields(KnowledgeObject))
