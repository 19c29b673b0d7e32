"""On what terms this node takes over news, and when they have widened.

News that was heard and not believed is not kept, and a provider's journal does not tell it
twice. So when this node would believe more than before, its cursors are cleared, and each
provider is compared whole, once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from dpip.federation.ledger import Ledger

KEY = "terms"


@dataclass(frozen=True, slots=True)
class Terms:
    """Whose word counts, and what is not the network's business whoever speaks.

    `trusted` and `allowed` (who may hear of private names) are hashes of keys; `withheld` are
    rows of the routing table, as text.
    """

    trusted: frozenset[str]
    withheld: frozenset[str]
    allowed: frozenset[str] = frozenset()

    def widens(self, before: Terms) -> bool:
        """Say whether there may be news that is believed now and was not before."""
        return not (self.trusted <= before.trusted and before.withheld <= self.withheld)

    def shows_more(self, before: Terms) -> bool:
        """Say whether somebody may see now what was hidden before."""
        return not (self.allowed <= before.allowed and before.withheld <= self.withheld)


def recorded(ledger: Ledger) -> Terms:
    """Return the terms of the last run; the narrowest ones if there was none."""
    text = ledger.recorded(KEY)
    if not text:
        return Terms(frozenset(), frozenset())
    return msgspec.json.decode(text, type=Terms)


def record(ledger: Ledger, terms: Terms) -> None:
    """Record the terms of this run."""
    ledger.record(KEY, msgspec.json.encode(terms, order="sorted").decode())
