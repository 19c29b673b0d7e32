"""Who this node is: its RID, its profile and its key, made on first use and kept."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from .bundle import Bundle
from .errors import KoiError, UnreadableKey, UnreadableState
from .model import decode, to_plain
from .protocol.node import NodeProfile
from .rid import KoiNetNode
from .signing import PrivateKey, key_id

if TYPE_CHECKING:
    from .cache import BundleCache

PASSWORD_VARIABLE = "PRIV_KEY_PASSWORD"


class _Kept(msgspec.Struct):
    rid: KoiNetNode
    profile: NodeProfile


class NodeIdentity:
    """The node's `rid`, `profile` and `bundle`.

    The identity file is JSON, `{"rid", "profile"}`. The key lies beside it, same name,
    `.pem`. A new RID ends in the hash of the key, which both wires accept. A `keyless` node
    has no key and a RID with a UUID, as protocol 1.0 makes them, and speaks the plain wire
    only; so does a node whose identity file was written by an implementation of 1.0. Raises
    UnreadableState and UnreadableKey.
    """

    rid: KoiNetNode
    profile: NodeProfile
    cache: BundleCache
    file_path: Path

    def __init__(
        self,
        name: str,
        profile: NodeProfile,
        cache: BundleCache,
        file_path: str | Path = "identity.json",
        *,
        key_path: str | Path | None = None,
        key_password: str | None = None,
        keyless: bool = False,
    ) -> None:
        self.name = name
        self.file_path = Path(file_path)
        self.cache = cache
        kept = self._kept_rid()
        self.signs = not keyless if kept is None else kept.names_key
        if self.signs:
            place = Path(key_path or self.file_path.with_suffix(".pem"))
            self.key = self._open_key(place, key_password)
            self.rid = kept or self.key.node_rid(name)
            self._check_key(place)
        else:
            self.key = PrivateKey.generate()  # nobody is ever shown what it signs
            self.rid = kept or KoiNetNode.generate(name)
        public = self.key.public_text if self.signs else None
        self.profile = dataclasses.replace(profile, public_key=public)
        self._keep()

    @property
    def bundle(self) -> Bundle:
        """The node's own bundle: the cached one, or a new one if the profile has changed."""
        contents = self.profile.contents()
        cached = self.cache.read(self.rid)
        if cached is not None and cached.contents == contents:
            return cached
        return Bundle.generate(self.rid, contents)

    def _open_key(self, path: Path, password: str | None) -> PrivateKey:
        password = password or os.environ.get(PASSWORD_VARIABLE) or None
        if path.exists():
            return PrivateKey.load(path, password)
        key = PrivateKey.generate()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            key.save(path, password)
        except OSError as error:
            raise UnreadableState(f"cannot write {path}: {error}") from None
        return key

    def _check_key(self, place: Path) -> None:
        if self.rid.id != key_id(self.key.public_text):
            raise UnreadableKey(
                f"{place} is not the key of {self.rid}: bring that key back, or remove"
                f" {self.file_path} to be a new node"
            )

    def _kept_rid(self) -> KoiNetNode | None:
        try:
            return decode(self.file_path.read_bytes(), _Kept).rid
        except FileNotFoundError:
            return None
        except (OSError, KoiError) as error:
            raise UnreadableState(f"{self.file_path}: {error}") from None

    def _keep(self) -> None:
        text = msgspec.json.format(
            msgspec.json.encode({"rid": str(self.rid), "profile": to_plain(self.profile)})
        )
        partial = self.file_path.with_name(f"{self.file_path.name}.{os.getpid()}.partial")
        try:
            partial.write_bytes(text)
            partial.replace(self.file_path)
        except OSError as error:
            raise UnreadableState(f"cannot write {self.file_path}: {error}") from None
