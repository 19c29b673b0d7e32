"""Requirements that stand in a project or a script: dependency groups and script metadata.

PEP 735 keeps lists of requirements under `[dependency-groups]` of a `pyproject.toml`; PEP 723
keeps one in a comment of a single Python file. Both are read here from text.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any

import msgspec
from packaging.dependency_groups import DependencyGroupResolver

from dpip.errors import UsageError
from dpip.resolve import requirement as requirement_line
from dpip.resolve.request import Given

PROJECT_FILE = "pyproject.toml"
_BLOCK = re.compile(r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(?:^#(?:| .*)$\s)+)^# ///$")


class BadGroup(UsageError):
    """A dependency group is not there, or is none."""

    slug = "bad-dependency-group"


class BadScript(UsageError):
    """A script says nothing of what it needs, or nothing that can be understood."""

    slug = "bad-script-metadata"


class Script(msgspec.Struct, frozen=True):
    """What a script says that it needs."""

    requirements: tuple[Given, ...]
    requires_python: str = ""


def place(words: str) -> tuple[str, str]:
    """Return (path, group) of `[PATH:]GROUP` as pip's --group takes it. Raises BadGroup."""
    path, colon, group = words.rpartition(":")
    if colon and re.split(r"[\\/]", path)[-1] != PROJECT_FILE:
        raise BadGroup(f"--group {words}: {path!r} is no {PROJECT_FILE}")
    return path or PROJECT_FILE, group


def group(text: str, name: str, path: str) -> list[Given]:
    """Return the requirements of a group, with those of the groups that it includes.

    Raises BadGroup with everything that is wrong with it.
    """
    groups = _toml(text, path, BadGroup).get("dependency-groups")
    if not isinstance(groups, dict):
        raise BadGroup(f"{path} has no table [dependency-groups]")
    try:
        lines = [str(each) for each in DependencyGroupResolver(groups).resolve(name)]
    except ExceptionGroup as errors:
        said = "; ".join(map(str, errors.exceptions))
        raise BadGroup(f"{path}, group {name}: {said}") from None
    return [_given(line, f"{path}, group {name}", BadGroup) for line in lines]


def script(text: str, path: str) -> Script:
    """Return what the metadata block of a script asks for. Raises BadScript."""
    blocks = [match for match in _BLOCK.finditer(text) if match["type"] == "script"]
    if len(blocks) != 1:
        raise BadScript(f"{path} has {'several blocks' if blocks else 'no block'} '# /// script'")
    lines = blocks[0]["content"].splitlines(keepends=True)
    content = "".join(line[2:] if line.startswith("# ") else line[1:] for line in lines)
    found = _toml(content, path, BadScript)
    listed, python = found.get("dependencies", []), found.get("requires-python", "")
    if not isinstance(python, str) or not isinstance(listed, list):
        raise BadScript(f"{path}: dependencies are a list, requires-python is a text")
    return Script(
        tuple(_given(line, f"{path}, its metadata", BadScript) for line in listed), python
    )


def _toml(text: str, path: str, wrong: type[UsageError]) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise wrong(f"{path} is not TOML: {error}") from None


def _given(line: object, origin: str, wrong: type[UsageError]) -> Given:
    if not isinstance(line, str):
        raise wrong(f"{origin}: not a requirement: {line!r}")
    try:
        return Given(requirement_line.parse(line), origin)
    except requirement_line.InvalidRequirement as error:
        raise wrong(f"{origin}: {error.message}") from None
