"""Errors are data: what happened, what to do about it, and how the process should end.

Every error that a user can meet is a `DpipError` subclass with a stable slug. Code at a
border (HTTP, SQLite, the file system) catches foreign exceptions once and raises one of
these; code inside the border never catches broadly. The command line prints
`error: <message>`, then `hint: <hint>`, and exits with `exit_code`; a server answers with
the slug and the message. Nobody shows a traceback.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

Side = Literal["ours", "theirs"]


class DpipError(Exception):
    """An error with a stable slug, a message, a hint and an exit code.

    `side` says whose fault it is: "ours" (this machine, its configuration, the caller's
    input) or "theirs" (an upstream, a peer, a damaged archive). `context` carries the
    values behind the message for `--json`.
    """

    slug: ClassVar[str] = "internal-error"
    exit_code: ClassVar[int] = 1
    side: ClassVar[Side] = "ours"
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str | None = None, **context: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint
        self.context = context

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form printed under `--json`."""
        return {
            "error": self.slug,
            "message": self.message,
            "hint": self.hint,
            "side": self.side,
            "context": {key: str(value) for key, value in self.context.items()},
        }


class UsageError(DpipError):
    """The command line or a configuration value makes no sense."""

    slug = "usage"
    exit_code = 2


class HomeNotWritable(DpipError):
    """The directory that holds dpip's state cannot be written."""

    slug = "home-not-writable"
    exit_code = 3
    default_hint = "choose another directory with --home or DPIP_HOME, or fix its permissions"


class DiskFull(DpipError):
    """The file system of the home directory has no room left."""

    slug = "disk-full"
    exit_code = 3
    default_hint = "free some space, or run `dpip gc`"


class PortTaken(DpipError):
    """Another process listens on the node's address."""

    slug = "port-taken"
    exit_code = 4
    default_hint = "stop the other process, or choose another port with --port or DPIP_PORT"


class AlreadyRunning(DpipError):
    """A node already runs on this home directory."""

    slug = "already-running"
    exit_code = 5
    default_hint = "see `dpip node status`; one home holds one node"


class NotRunning(DpipError):
    """No node runs on this home directory."""

    slug = "not-running"
    exit_code = 6
    default_hint = "start one with `dpip node start`"
