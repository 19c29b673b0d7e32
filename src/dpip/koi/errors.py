"""What can go wrong in a KOI node; every error of this package is a `KoiError`.

The package stands alone, so these are not errors of any larger program: whoever embeds a
node maps them at its own border. `slug` is stable and fit for a machine to read.
"""

from __future__ import annotations

from typing import ClassVar


class KoiError(Exception):
    """Base of everything raised on purpose by this package."""

    slug: ClassVar[str] = "koi-error"


class InvalidRid(KoiError, ValueError):
    """A text is not a resource identifier, or not one of the kind that it claims."""

    slug = "invalid-rid"


class InvalidContents(KoiError, ValueError):
    """Contents cannot be written as JSON, or are not what their type requires."""

    slug = "invalid-contents"


class MalformedMessage(KoiError, ValueError):
    """A body is not the JSON that its endpoint expects (HTTP 422)."""

    slug = "malformed-message"


class Refused(KoiError):
    """A message breaks one of the four rules of the signed wire (HTTP 400).

    `code` is the value of `error` in the answer: unknown_node, invalid_key,
    invalid_signature or invalid_target.
    """

    slug = "refused"

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message or code)
        self.code = code


class UnreachablePeer(KoiError):
    """Another node gave no answer: no address, no connection, or no answer in time."""

    slug = "unreachable-peer"


class UnusableAnswer(KoiError):
    """Another node answered with an error, or with something that is not an answer."""

    slug = "unusable-answer"

    def __init__(self, message: str, *, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class ForbiddenAddress(UnreachablePeer):
    """A peer's URL leads where this node does not call."""

    slug = "forbidden-address"


class UnreadableKey(KoiError):
    """The private key file is damaged, or its password is missing or wrong."""

    slug = "unreadable-key"


class UnreadableState(KoiError):
    """The identity file or the database of a node cannot be read or written."""

    slug = "unreadable-state"


class QueueFull(KoiError):
    """More was accepted than has been processed; the sender should come back later."""

    slug = "queue-full"
