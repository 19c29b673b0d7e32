"""What can go wrong between an index and a resolve; each error says where it met it."""

from __future__ import annotations

from dpip.errors import DpipError


class Unreachable(DpipError):
    """No answer came from a server. `permanent` says that another try is pointless."""

    slug = "unreachable"
    side = "theirs"
    default_hint = "check the network, the address and the proxy settings; or use --offline"

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class HttpFailure(DpipError):
    """A server answered with a status that is no answer to the question."""

    slug = "http-failure"
    side = "theirs"

    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"{url} answers {status}", url=url, status=status)
        self.status = status


class BadAnswer(DpipError):
    """A server's answer is not what it must be: garbage, cut short, too large."""

    slug = "bad-answer"
    side = "theirs"


class HashMismatch(DpipError):
    """Bytes do not have the hash that the index, the lock or the store names."""

    slug = "hash-mismatch"
    side = "theirs"
    default_hint = "the file was changed or the transfer damaged; nothing of it was kept"


class BadMetadata(DpipError):
    """A file that must be core metadata is not, or belongs to another project."""

    slug = "bad-metadata"
    side = "theirs"


class MetadataDiffers(DpipError):
    """A downloaded wheel says something else than what was resolved on."""

    slug = "metadata-differs"
    side = "theirs"
    default_hint = "the index served metadata that is not the wheel's; report it to its operator"


class BuildFailed(DpipError):
    """A source distribution could not be turned into metadata or a wheel."""

    slug = "build-failed"
    side = "theirs"


class NotOffline(DpipError):
    """--offline was given and what is needed is not stored."""

    slug = "not-stored"
    default_hint = "run once without --offline"


class CannotWrite(DpipError):
    """This machine does not take a file: the disk is full, or the place is not writable."""

    slug = "cannot-write"
    default_hint = "make room, or name another place with --cache-dir, --download or TMPDIR"

    @classmethod
    def because(cls, error: OSError, place: object = None) -> CannotWrite:
        """Return what an error of the system says in our words."""
        where = place or error.filename2 or error.filename or "a file"
        return cls(f"cannot write {where}: {error.strerror or error}")


class BadLock(DpipError):
    """A lock file cannot be read, or asks for what cannot be given."""

    slug = "bad-lock"
    exit_code = 2
