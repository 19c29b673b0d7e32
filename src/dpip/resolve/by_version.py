"""The files of a project by version, read when somebody looks at them, and then kept."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from dpip.resolve.facts import CandidateFile


class FilesByVersion(Sequence["tuple[CandidateFile, ...]"]):
    """A sequence as long as the project has versions; a subclass says what each item is."""

    __slots__ = ("_count", "_kept")

    def __init__(self, count: int) -> None:
        self._count = count
        self._kept: dict[int, tuple[CandidateFile, ...]] = {}

    @abstractmethod
    def read(self, number: int) -> tuple[CandidateFile, ...]:
        """Return the files of a version by its number; asked once."""

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> tuple[CandidateFile, ...]: ...

    @overload
    def __getitem__(self, at: slice) -> list[tuple[CandidateFile, ...]]: ...

    def __getitem__(
        self, at: int | slice
    ) -> tuple[CandidateFile, ...] | list[tuple[CandidateFile, ...]]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(self._count))]
        found = self._kept.get(at)
        if found is None:
            number = at if at >= 0 else at + self._count
            if not 0 <= number < self._count:
                raise IndexError(at)
            found = self._kept[number] = self.read(number)
        return found
