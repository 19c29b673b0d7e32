"""Dependency records in the facts store: by the hash of a file, and by who says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from dpip.resolve import records
from dpip.resolve.store import metadata_key

if TYPE_CHECKING:
    from dpip.resolve.facts import CandidateFile, Dependencies
    from dpip.resolve.store import Store


def at_hand(store: Store, file: CandidateFile) -> Dependencies | None:
    """Return what the store says of a listed file."""
    key = key_of(file)
    held = store.metadata(key) if key else None
    if held is None:
        return None
    try:
        return records.decode(held)
    except msgspec.DecodeError:
        return None


def keep(store: Store, file: CandidateFile, found: Dependencies) -> None:
    """Keep what a file's metadata says, if a hash identifies the file."""
    key = key_of(file)
    if key is not None:
        store.put_metadata(key, records.encode(found))


def key_of(file: CandidateFile) -> str | None:
    """Return the store's key for a file's record; None where no hash identifies the file."""
    if file.sha256 is None:
        return None
    return metadata_key(file.sha256, file.metadata_sha256 or file.index)
