"""A cache in memory."""

from __future__ import annotations

from collections.abc import Sequence

from ..bundle import Bundle
from ..rid import RID, RIDType


class MemoryCache:
    """The smallest BundleCache: a dict."""

    def __init__(self) -> None:
        self._bundles: dict[RID, Bundle] = {}

    def read(self, rid: RID) -> Bundle | None:
        """Return the bundle, or None."""
        return self._bundles.get(rid)

    def write(self, bundle: Bundle) -> Bundle:
        """Keep the bundle, in place of an older one; return it."""
        self._bundles[bundle.rid] = bundle
        return bundle

    def exists(self, rid: RID) -> bool:
        """Say whether there is a bundle of this RID."""
        return rid in self._bundles

    def delete(self, rid: RID) -> None:
        """Drop the bundle; nothing happens if there is none."""
        self._bundles.pop(rid, None)

    def list_rids(self, rid_types: Sequence[RIDType] | None = None) -> list[RID]:
        """Return the RIDs held, of the types named or of all."""
        return [rid for rid in self._bundles if rid_types is None or type(rid) in rid_types]
