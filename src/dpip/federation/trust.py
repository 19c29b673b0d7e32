"""Whose word counts for what. Pure: a few facts in, a verdict out.

A peer is transport. What belongs to a name is said by the upstream index, or by nodes and
index keys that the operator has listed. The word of any other node changes nothing: at most
it is a hint to ask upstream again. A private name belongs to this node alone.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dpip.federation.rids import IpnsName, PypiFile, PypiProject, project_of
from dpip.koi import EventType
from dpip.koi.processor.knowledge_object import KnowledgeObject, KnowledgeSource
from dpip.koi.processor.policy import Facts, SourcePolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from dpip.koi import RID, KoiNetNode


class Verdict(enum.Enum):
    """What to do with news from a peer."""

    CLAIM = "believe it"
    HINT = "ask upstream again"
    IGNORE = "drop it"


@dataclass(frozen=True, slots=True)
class Trust:
    """Who is listed, as the operator wrote it: whole node RIDs, or the hash of a node's key.

    `mine` says of a normalized name that it is private here. `allowed` are the nodes that may
    hear of private names. `follows` says of an IPNS name that its index is published or followed
    here. `guarded` are names that are private to listed nodes, `dropped` are nodes that do not
    exist for this one.
    """

    nodes: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()
    mine: Callable[[str], bool] = field(default=lambda _: False)
    follows: Callable[[str], bool] = field(default=lambda _: False)
    guarded: Container[str] = frozenset()
    dropped: Container[KoiNetNode] = frozenset()

    @classmethod
    def listing(
        cls,
        nodes: Iterable[str],
        allowed: Iterable[str],
        *,
        mine: Callable[[str], bool],
        follows: Callable[[str], bool] = lambda _: False,
        guarded: Container[str] = frozenset(),
        dropped: Container[KoiNetNode] = frozenset(),
    ) -> Trust:
        """Return the trust of settings; only the key's hash of a node RID counts."""
        listed, told = frozenset(map(key_hash, nodes)), frozenset(map(key_hash, allowed))
        return cls(listed, told, mine, follows, guarded, dropped)

    def judge(self, rid: RID, sender: KoiNetNode | None) -> Verdict:
        """Say what news of `rid` from the node that signed it is worth."""
        if isinstance(rid, IpnsName):
            # The record speaks for itself; of names that nobody here asked for, only friends may.
            wanted = self.follows(rid.reference) or self.believes(sender)
            return Verdict.CLAIM if wanted else Verdict.IGNORE
        name = project_of(rid)
        if name is None:
            return Verdict.IGNORE
        if self.mine(name):
            return Verdict.IGNORE
        return Verdict.CLAIM if self.believes(sender) else Verdict.HINT

    def believes(self, sender: KoiNetNode | None) -> bool:
        """Say whether a node is listed; messages without a signature never are."""
        return sender is not None and sender.names_key and sender.id in self.nodes

    def may_hear(self, name: str, node: KoiNetNode) -> bool:
        """Say whether a node may be told of a project."""
        return self.allows(node) or not (self.mine(name) or name in self.guarded)

    def allows(self, node: KoiNetNode | None) -> bool:
        """Say whether a node may hear of private names; without a signature none may."""
        listed = node is not None and node.names_key and node.id in self.allowed
        return listed and node not in self.dropped

    def hidden_from(self, asker: KoiNetNode | None) -> Callable[[str], bool] | None:
        """Return what says of a RID (its text) that it is not for the asker; None: all is."""
        if self.allows(asker):
            return None
        kinds = (f"{PypiProject.text}:", f"{PypiFile.text}:")

        def hidden(rid: str) -> bool:
            if not rid.startswith(kinds):
                return False
            name = rid.split(":", 2)[2].partition("/")[0]
            return self.mine(name) or name in self.guarded

        return hidden


def key_hash(text: str) -> str:
    """Return the part of a node's RID that stands for its key."""
    return text.strip().rpartition("+")[2].lower()


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """The koi Policy of a mirror: listed nodes may change what they did not introduce."""

    trust: Trust
    others: SourcePolicy = field(default_factory=SourcePolicy)

    def admits(self, kobj: KnowledgeObject, facts: Facts) -> bool:
        """Say whether the node shall consider an object at all."""
        if kobj.source == KnowledgeSource.Internal:
            return True
        if kobj.sender in self.trust.dropped or kobj.rid in self.trust.dropped:
            return False
        if isinstance(kobj.rid, IpnsName):
            wanted = self.trust.judge(kobj.rid, kobj.sender) is Verdict.CLAIM
            return wanted and kobj.event_type != EventType.FORGET
        if not isinstance(kobj.rid, PypiProject | PypiFile):
            return self.others.admits(kobj, facts)
        if kobj.sender is None or self.trust.judge(kobj.rid, kobj.sender) is not Verdict.CLAIM:
            return False
        return SourcePolicy(frozenset({kobj.sender})).admits(kobj, facts)
