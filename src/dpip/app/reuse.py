"""Answers that are given again to the very same request.

The clients of an index are few programs: thousands of machines send requests that are equal
to the last byte. An application that answers from memory can say for how long its answer is
the answer (`"reusable": valid` in `http.response.start`, a function that costs nothing to
call); until `valid()` is false the connection then answers equal bytes at once, without
parsing them. Nothing is guessed: a request that differs in any header is another request.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_REQUEST = 2**11
LARGEST_BODY = 2**20
ROOM = 2**24


@dataclass(frozen=True, slots=True)
class Reusable:
    """A complete response; the Date line belongs between `status_line` and `headers`."""

    valid: Callable[[], bool]
    status_line: bytes
    headers: bytes
    body: bytes


class Answers:
    """Reusable responses by request bytes, `room` bytes of them, the oldest leaving first."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._size = 0
        self._answers: dict[bytes, Reusable] = {}

    def find(self, request: bytes) -> Reusable | None:
        """Return the answer to exactly this request, while it is valid."""
        answer = self._answers.get(request)
        if answer is None or answer.valid():
            return answer
        self._remove(request)
        return None

    def keep(self, request: bytes, answer: Reusable) -> None:
        """Remember an answer, unless it would take too much room."""
        if len(request) > LONGEST_REQUEST or len(answer.body) > LARGEST_BODY:
            return
        self._remove(request)
        self._answers[request] = answer
        self._size += _size(request, answer)
        while self._size > self._room:
            self._remove(next(iter(self._answers)))

    def _remove(self, request: bytes) -> None:
        answer = self._answers.pop(request, None)
        if answer is not None:
            self._size -= _size(request, answer)


def _size(request: bytes, answer: Reusable) -> int:
    return len(request) + len(answer.headers) + len(answer.body)
