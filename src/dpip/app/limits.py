"""What a client may do to a server before it is cut off."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may do. Bytes and seconds."""

    head: int = 2**16
    """Request line and headers."""
    body: int = 2**35
    head_time: float = 20.0
    """From a request's first byte to the end of its headers."""
    body_time: float = 60.0
    """Between two pieces of a body that the application waits for."""
    idle_time: float = 75.0
    """Between two requests."""
    write_time: float = 60.0
    """Without the client taking a byte of a response."""
    connections: int = 4096
