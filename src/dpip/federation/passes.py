"""Passes: how a node proves to another, with one header, who asks for a file.

    dpip-pass: <hash of the key of who asks> <seconds since 1970> <signature>

Signed is the base URL of who is asked, the path and the time, with the key of the node: so a pass
opens one file at one node for a few minutes, and gives whoever reads it along the way nothing
that the answer does not.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dpip.koi.protocol.consts import PREFIX
from dpip.koi.signing import key_id, verifies
from dpip.simple.asgi import header

if TYPE_CHECKING:
    from collections.abc import Callable

    from dpip.koi import KoiNetNode, NodeInterface
    from dpip.simple.asgi import Scope

HEADER = "dpip-pass"
GOOD_FOR = 600.0
"""Seconds that clocks may differ, and that a pass may be old."""
_NUMBER = re.compile(r"[0-9]{1,12}", re.ASCII)


class Passes:
    """Gives passes in the name of this node, and reads those of others.

    `node` returns the KOI node once it runs; `clock` seconds since 1970.
    """

    def __init__(
        self, node: Callable[[], NodeInterface | None], clock: Callable[[], float]
    ) -> None:
        self._node = node
        self._clock = clock

    def headers(self, url: str, path: str) -> dict[str, str]:
        """Return the headers of a request for a path (as it reads decoded) at a base URL."""
        node = self._node()
        if node is None or not node.identity.signs:
            return {}
        now = int(self._clock())
        signature = node.identity.key.sign(_signed(url, path, now))
        return {HEADER: f"{node.identity.rid.id} {now} {signature}"}

    def bearer(self, scope: Scope) -> KoiNetNode | None:
        """Return the known node that signed the pass of a request; None for no good pass."""
        parts, node = (header(scope, HEADER.encode()) or "").split(" "), self._node()
        if node is None or len(parts) != 3:
            return None
        name, when, signature = parts
        if not _NUMBER.fullmatch(when) or abs(int(when) - self._clock()) > GOOD_FOR:
            return None
        own = (node.identity.profile.base_url or "").removesuffix(PREFIX)
        signed = _signed(own, scope["path"], int(when))
        for rid, profile in node.graph.profiles():
            key = profile.public_key
            if rid.names_key and rid.id == name and key and key_id(key) == name:
                return rid if verifies(key, signed, signature) else None
        return None


def _signed(url: str, path: str, when: int) -> bytes:
    return f"{HEADER}\n{url.rstrip('/')}\n{path}\n{when}".encode()
