"""What can go wrong with content. This room stands alone, so it has its own base error.

`permanent` tells a caller whether asking again, or asking somebody else, can help: a block
that is not here may be elsewhere, a block that is malformed is malformed everywhere.
"""

from __future__ import annotations

from typing import ClassVar


class IpfsError(Exception):
    """The base of every error that this package raises on purpose."""

    permanent: ClassVar[bool] = True


class NotFound(IpfsError):
    """The block, record or path is not here; it may be elsewhere or come later."""

    permanent = False


class Unavailable(IpfsError):
    """A source did not answer, or answered that it cannot now."""

    permanent = False


class HashMismatch(IpfsError):
    """Bytes do not hash to the CID that they were offered under; another source may be honest."""

    permanent = False


class InvalidCid(IpfsError):
    """The text or bytes are not a CID, or not one that can be handled."""


class InvalidBlock(IpfsError):
    """A block hashes right but is not valid DAG-PB, UnixFS or DAG-CBOR."""


class InvalidCar(IpfsError):
    """A CAR stream is malformed or ends in the middle."""


class InvalidArchive(IpfsError):
    """An archive, or a recipe of one, is damaged, unsafe or of a kind that stays whole."""


class InvalidPath(IpfsError):
    """A path is malformed, or goes through something that has no children."""


class NoLink(IpfsError):
    """A path names something that the DAG does not have."""


class InvalidRecord(IpfsError):
    """An IPNS record is malformed, wrongly signed or expired."""


class InvalidKey(IpfsError):
    """A key cannot be read, or is of a kind that is not supported."""


class InvalidArgument(IpfsError):
    """A parameter of the caller makes no sense: a chunker string, a range, a profile."""


class LimitExceeded(IpfsError):
    """Something is larger, deeper or wider than is safe to handle."""


class Unwritable(IpfsError):
    """A store cannot be read or written: no room, no permission, a disk that fails."""


class Damaged(IpfsError):
    """A store's files are not what they were when they were written; `fsck` says more."""
