"""Named keys in a directory: one PKCS#8 file each, readable by its owner only."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from .errors import InvalidArgument, InvalidKey, NotFound
from .keys import PrivateKey
from .records import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SELF = "self"
"""The key that a node has from the start."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")


class Keystore:
    """Keys by name. With a password, files are encrypted with it."""

    def __init__(self, directory: Path, password: bytes | None = None) -> None:
        self._directory = directory
        self._password = password

    def get(self, name: str) -> PrivateKey:
        """Return a key; `self` is made when it is first asked for. Raises NotFound, InvalidKey."""
        try:
            return PrivateKey.from_pem(self._path(name).read_bytes(), self._password)
        except FileNotFoundError:
            if name != SELF:
                raise NotFound(f"there is no key {name!r}") from None
        # Two processes may come here at once: the key of the first is that of both.
        with contextlib.suppress(InvalidArgument):
            return self.generate(SELF)
        return self.get(SELF)

    def generate(self, name: str) -> PrivateKey:
        """Make a key. Raises InvalidArgument if there is one of that name."""
        key = PrivateKey.generate()
        self.put(name, key)
        return key

    def put(self, name: str, key: PrivateKey) -> None:
        """Keep a key. Raises InvalidArgument if there is one of that name."""
        try:
            write_whole(self._path(name), key.to_pem(self._password), mode=0o600, only_new=True)
        except FileExistsError:
            raise InvalidArgument(f"there is a key {name!r} already") from None

    def remove(self, name: str) -> None:
        """Take a key away for good. Raises NotFound."""
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            raise NotFound(f"there is no key {name!r}") from None

    def rename(self, old: str, new: str) -> None:
        """Give a key another name. Raises NotFound, InvalidArgument."""
        self.put(new, self.get(old))
        self.remove(old)

    def find(self, text: str) -> PrivateKey:
        """Return the key of that name, or whose IPNS name the text is. Raises NotFound."""
        if _NAME.fullmatch(text) and self._path(text).exists():
            return self.get(text)
        for _, key in self:
            if text in {key.name.encode("k"), key.name.encode("b")}:
                return key
        if text == SELF:
            return self.get(SELF)
        raise NotFound(f"there is no key {text!r}")

    def __iter__(self) -> Iterator[tuple[str, PrivateKey]]:
        for path in sorted(self._directory.glob("*.pem")):
            try:
                yield path.stem, self.get(path.stem)
            except InvalidKey:
                continue

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise InvalidArgument(f"{name!r} cannot be the name of a key")
        return self._directory / f"{name}.pem"
