"""Taking over what a node of protocol 1.0 left: its cache and its queues.

The original keeps a bundle per file in its cache directory, and saves its queues to
`event_queues.json` when it stops. Whoever starts a node of this library in such a directory
goes on with that state: it is read once, and the files stay where they are. The identity
file has the same form in both.
"""

from __future__ import annotations

import base64
import binascii
import logging
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from .bundle import Bundle
from .errors import InvalidRid, MalformedMessage
from .model import decode
from .protocol.event import Event
from .rid import RID, KoiNetNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .cache import Cache
    from .outbox import Outbox
    from .protocol.node import NodeProfile
    from .store import Store

logger = logging.getLogger(__name__)

CACHE_TAKEN = "taken: cache"


class _Queues(msgspec.Struct):
    webhook: dict[str, list[Event]] = {}
    poll: dict[str, list[Event]] = {}


def take_cache(cache: Cache) -> int:
    """Keep the bundles that lie as files in the cache's directory; return how many.

    The original did not record who introduced what, so they count as brought by nobody in
    particular, until `claim`. Files that are no bundles, or not of the RID that their name
    says, are left alone.
    """
    if _taken(cache.store, CACHE_TAKEN):
        return 0
    count = 0
    with cache.store.change():
        for bundle in _bundles(cache.directory_path):
            held = cache.record(bundle.rid)
            if held is None or held.manifest.timestamp < bundle.manifest.timestamp:
                cache.put(bundle, source="", verified=bundle.verified)
                count += 1
        if count:
            _take(cache.store, CACHE_TAKEN)
    if count:
        logger.info("took over %d bundles from the files in %s", count, cache.directory_path)
    return count


def claim(store: Store, profile: NodeProfile) -> None:
    """Count what was taken over, of types that this node provides, as this node's own."""
    own = {str(kind) for kind in (*profile.provides.event, *profile.provides.state)}
    own -= {"orn:koi-net.node", "orn:koi-net.edge"}
    if own and _taken(store, CACHE_TAKEN) and not _taken(store, f"{CACHE_TAKEN}, claimed"):
        with store.change() as connection:
            for kind in own:
                connection.execute(
                    "UPDATE bundle SET source=NULL WHERE source='' AND type=?", (kind,)
                )
            _take(store, f"{CACHE_TAKEN}, claimed")


def take_queues(path: Path | str, store: Store, outbox: Outbox) -> int:
    """Queue the events saved in a file for their targets; return how many.

    The original saves its queues anew at each stop, so it is the file's contents that are
    taken once.
    """
    try:
        text = Path(path).read_bytes()
    except OSError:
        return 0
    name = f"taken: queues {sha256(text).hexdigest()}"
    if _taken(store, name):
        return 0
    try:
        saved = decode(text, _Queues)
    except MalformedMessage as error:
        logger.warning("%s is not a file of event queues: %s", path, error)
        return 0
    count = 0
    with store.change():
        for queues in (saved.webhook, saved.poll):
            for target, events in queues.items():
                count += _queue(outbox, target, events)
        _take(store, name)
    return count


def _queue(outbox: Outbox, target: str, events: list[Event]) -> int:
    try:
        node = RID.from_string(target)
    except InvalidRid:
        return 0
    if not isinstance(node, KoiNetNode):
        return 0
    for event in events:
        outbox.push(event.signed_form(), [node])
    return len(events)


def _bundles(directory: Path) -> Iterator[Bundle]:
    for path in sorted(directory.glob("*.json")):
        try:
            rid = RID.from_string(_decoded(path.stem))
        except ValueError:
            continue
        try:
            bundle = decode(path.read_bytes(), Bundle)
        except (MalformedMessage, OSError) as error:
            logger.warning("%s is not a bundle, left alone: %s", path, error)
            continue
        if bundle.rid == rid:
            yield bundle


def _decoded(name: str) -> str:
    try:
        return base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidRid(f"not the name of a bundle's file: {name!r}") from None


def _taken(store: Store, name: str) -> bool:
    return store.row("SELECT 1 FROM meta WHERE key=?", (name,)) is not None


def _take(store: Store, name: str) -> None:
    with store.change() as connection:
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, '')", (name,))
