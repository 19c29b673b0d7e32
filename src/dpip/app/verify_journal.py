"""How far a comparison of a whole home came, so that one that is killed goes on there.

One line of JSON for each batch of projects, appended: the cost is that of what was compared,
never of all before it. A line that was cut off by a kill counts as not written. The first line
says what was compared with what; another question begins another journal.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from dpip.errors import HomeNotWritable
from dpip.mirror.differences import Difference  # noqa: TC001 - msgspec reads annotations
from dpip.simple.provenance import Attested  # noqa: TC001 - msgspec reads annotations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "verify.jsonl"


@dataclass(slots=True)
class Batch:
    """What comparing some projects gave; `last` is the last of them in the order of names.

    `attested` maps file names to what their provenance says, where that was asked for.
    """

    last: str = ""
    projects: int = 0
    files: int = 0
    size: int = 0
    differences: list[Difference] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    attested: dict[str, Attested] = field(default_factory=dict)

    def add(self, other: Batch) -> None:
        """Take in what came after."""
        self.last = other.last
        self.projects += other.projects
        self.files += other.files
        self.size += other.size
        self.differences += other.differences
        self.problems += other.problems
        self.attested |= other.attested


class Journal:
    """The journal of one home for one question."""

    def __init__(self, home: Path, question: str) -> None:
        self._path = home / NAME
        self._question = question

    def resume(self) -> Batch | None:
        """Return all that an earlier run of the same question noted, to go on from; or None.

        Where there is nothing, a new journal is begun. Raises HomeNotWritable.
        """
        found, good = self._read()
        with self._mapped():
            if found is None:
                self._path.write_bytes(msgspec.json.encode(self._question) + b"\n")
            else:
                os.truncate(self._path, good)
        return found

    def note(self, batch: Batch) -> None:
        """Append what is done. Raises HomeNotWritable."""
        with self._mapped(), self._path.open("ab") as file:
            file.write(msgspec.json.encode(batch) + b"\n")

    def end(self) -> None:
        """All is compared, or it is to begin anew: nothing to go on from."""
        with self._mapped():
            self._path.unlink(missing_ok=True)

    def _read(self) -> tuple[Batch | None, int]:
        """Return what is noted and how many bytes of the file are whole lines."""
        try:
            first, *lines = self._path.read_bytes().splitlines(keepends=True)
            if msgspec.json.decode(first, type=str) != self._question:
                return None, 0
        except (OSError, ValueError, msgspec.MsgspecError):
            return None, 0
        found, good = Batch(), len(first)
        for line in lines:
            with contextlib.suppress(msgspec.MsgspecError):
                if line.endswith(b"\n"):
                    found.add(msgspec.json.decode(line, type=Batch))
                    good += len(line)
                    continue
            break
        return (found if found.last else None), good

    @contextlib.contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise HomeNotWritable(f"cannot write {self._path}: {error.strerror}") from None
