"""The kinds of things that mirrors speak of, as RID types.

`orn:pypi.project:<name>`, `orn:pypi.file:<name>/<filename>` and `orn:ipns.name:<k51…>`. Names
are normalized (PEP 503): two spellings of one project are one RID, so others are refused.
"""

from __future__ import annotations

from typing import ClassVar

from dpip.ipfs.errors import IpfsError
from dpip.ipfs.keys import parse_name
from dpip.koi import ORN, RID, RIDType
from dpip.simple.model import is_valid_filename, is_valid_name
from dpip.simple.names import normalize


class PypiProject(ORN):
    """A project page: `orn:pypi.project:<normalized name>`."""

    namespace: ClassVar[str | None] = "pypi.project"

    def __init__(self, name: str) -> None:
        super().__init__(_normalized(name))

    @property
    def name(self) -> str:
        """The project's normalized name."""
        return self.reference


class PypiFile(ORN):
    """One file of a project: `orn:pypi.file:<normalized name>/<filename>`."""

    namespace: ClassVar[str | None] = "pypi.file"

    def __init__(self, name: str, filename: str) -> None:
        if not is_valid_filename(filename):
            raise ValueError("a file's name is one path component")
        super().__init__(f"{_normalized(name)}/{filename}")
        self.name, self.filename = name, filename

    @classmethod
    def from_reference(cls, reference: str) -> PypiFile:
        """Read `<name>/<filename>`."""
        name, slash, filename = reference.partition("/")
        if not slash:
            raise ValueError("a file's reference is <name>/<filename>")
        return cls(name, filename)


class IpnsName(ORN):
    """The head of a published index: `orn:ipns.name:<k51…>`."""

    namespace: ClassVar[str | None] = "ipns.name"

    def __init__(self, name: str) -> None:
        try:
            spelling = parse_name(name).encode("k")
        except IpfsError as error:
            raise ValueError(str(error)) from None
        if name != spelling:
            raise ValueError(f"the name of a key is spelled {spelling}")
        super().__init__(name)


KINDS: tuple[RIDType, ...] = (PypiProject, PypiFile, IpnsName)
"""What a mirror provides, and is interested in."""


def project_of(rid: RID) -> str | None:
    """Return the project that a RID speaks of, or None."""
    return rid.name if isinstance(rid, PypiProject | PypiFile) else None


def _normalized(name: str) -> str:
    if not is_valid_name(name) or normalize(name) != name:
        raise ValueError(f"not a normalized project name: {name[:100]!r}")
    return name
