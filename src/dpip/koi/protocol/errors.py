"""The four refusals of the signed wire, in the order in which they are checked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..model import WireModel


class ErrorType(StrEnum):
    """Why a signed message was refused; HTTP status 400."""

    UnknownNode = "unknown_node"
    InvalidKey = "invalid_key"
    InvalidSignature = "invalid_signature"
    InvalidTarget = "invalid_target"


@dataclass(frozen=True, slots=True)
class ErrorResponse(WireModel):
    """The body of a refusal."""

    error: ErrorType
    type: str = "error_response"

    def to_json(self) -> bytes:
        """Return the body, `type` first as the reference writes it."""
        return b'{"type":"error_response","error":"%s"}' % self.error.value.encode()
