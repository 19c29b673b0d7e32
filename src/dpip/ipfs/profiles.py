"""Import profiles: every choice that changes which CID a file or directory gets.

The two named profiles are those of IPIP-499 (https://specs.ipfs.tech/ipips/ipip-0499/).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from .errors import InvalidArgument

SizeRule = Literal["links", "block"]
"""How a directory's size is taken: name and CID bytes of its links, or the encoded block."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The parameters of an import. Sizes are bytes."""

    name: str
    cid_version: Literal[0, 1]
    chunker: str
    raw_leaves: bool
    max_links: int
    """Children of an inner node of a file."""
    hamt_threshold: int = 256 * 1024
    """A directory larger than this is sharded."""
    hamt_size_rule: SizeRule = "block"
    hamt_fanout: int = 256


UNIXFS_V1_2025 = Profile("unixfs-v1-2025", 1, "size-1048576", raw_leaves=True, max_links=1024)
UNIXFS_V0_2015 = Profile(
    "unixfs-v0-2015", 0, "size-262144", raw_leaves=False, max_links=174, hamt_size_rule="links"
)
PROFILES = {
    "unixfs-v1-2025": UNIXFS_V1_2025,
    "unixfs-v0-2015": UNIXFS_V0_2015,
    "legacy-cid-v0": UNIXFS_V0_2015,
}


def profile(
    name: str = "unixfs-v1-2025",
    *,
    cid_version: int | None = None,
    chunker: str | None = None,
    raw_leaves: bool | None = None,
    max_links: int | None = None,
) -> Profile:
    """Return a named profile with single choices changed, as `ipfs add` understands them.

    Choosing CIDv1 turns raw leaves on, unless `raw_leaves` says otherwise. Raises InvalidArgument.
    """
    if name not in PROFILES:
        raise InvalidArgument(f"unknown profile {name!r}; there are {', '.join(PROFILES)}")
    chosen = PROFILES[name]
    if cid_version not in {None, 0, 1}:
        raise InvalidArgument(f"CID version {cid_version} does not exist")
    if cid_version is not None and cid_version != chosen.cid_version:
        chosen = replace(chosen, cid_version=1 if cid_version else 0, raw_leaves=bool(cid_version))
    if chunker is not None:
        chosen = replace(chosen, chunker=chunker)
    if raw_leaves is not None:
        chosen = replace(chosen, raw_leaves=raw_leaves)
    if max_links is not None:
        if max_links < 2:
            raise InvalidArgument("a node of a file has at least 2 links")
        chosen = replace(chosen, max_links=max_links)
    return chosen
