"""pip's requirements file format, read without touching a disk.

The caller hands in a function that returns the text behind a path or URL, so that nested
`-r` and `-c` work wherever the files live. Relative `-r` and `-c` are relative to the file
that names them; relative paths of requirements are relative to the working directory, as
they are for pip.
"""

from __future__ import annotations

import codecs
import os
import re
import shlex
from pathlib import PurePath
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urljoin, urlsplit

import msgspec

from dpip.errors import UsageError
from dpip.resolve import requirement as requirement_line
from dpip.resolve.facts import Requirement
from dpip.resolve.names import normalize
from dpip.resolve.request import ALL, Given

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Read = Callable[[str], str]

_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_OPTIONS_START = re.compile(r"\s(?=--?[a-zA-Z])")
_SCHEME = re.compile(r"(?:git|hg|svn|bzr)\+[a-z+]+://|(?:https?|file|ftp)://|file:/", re.IGNORECASE)
_ARCHIVE = re.compile(
    r"\.(?:whl|zip|tar|tar\.gz|tgz|tar\.bz2|tar\.xz)(?:\[[^\]]*\])?$", re.IGNORECASE
)
_TRAILING_EXTRAS = re.compile(r"^(?P<path>.+?)\[(?P<extras>[^\[\]]+)\]$")

_CODING = re.compile(rb"coding[:=]\s*([-\w.]+)")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""The longer marks come first: one of UTF-16 is the beginning of one of UTF-32."""

_LONG = {
    "-r": "--requirement",
    "-c": "--constraint",
    "-e": "--editable",
    "-i": "--index-url",
    "-f": "--find-links",
    "--pypi-url": "--index-url",
}
_FLAGS = {"--pre", "--no-index", "--require-hashes", "--no-require-hashes", "--prefer-binary"}
_VALUES = {
    "--requirement",
    "--constraint",
    "--editable",
    "--index-url",
    "--extra-index-url",
    "--find-links",
    "--no-binary",
    "--only-binary",
    "--all-releases",
    "--only-final",
    "--trusted-host",
    "--use-feature",
}


class BadLine(UsageError):
    """A line of a requirements file is not understood."""

    slug = "bad-requirements-line"


class Inputs(msgspec.Struct):
    """All that was read, in the order in which it stands."""

    requirements: list[Given] = msgspec.field(default_factory=list)
    constraints: list[Given] = msgspec.field(default_factory=list)
    index_url: str | None = None
    extra_index_urls: list[str] = msgspec.field(default_factory=list)
    find_links: list[str] = msgspec.field(default_factory=list)
    trusted_hosts: list[str] = msgspec.field(default_factory=list)
    no_binary: list[str] = msgspec.field(default_factory=list)
    """Names or ":all:", in order."""
    only_binary: list[str] = msgspec.field(default_factory=list)
    all_releases: list[str] = msgspec.field(default_factory=list)
    only_final: list[str] = msgspec.field(default_factory=list)
    no_index: bool = False
    require_hashes: bool = False


def read(
    location: str,
    text_of: Read,
    *,
    working_directory: str,
    environ: Mapping[str, str],
    constraints: bool = False,
    into: Inputs | None = None,
    is_there: Callable[[str], bool] = lambda _: False,
) -> Inputs:
    """Read a requirements file (or, with `constraints`, a constraints file) and all it names.

    `text_of(location)` returns the text of a path or a URL and raises a DpipError where it
    cannot; `is_there(path)` says whether a relative --find-links lies beside the file that
    names it. Raises BadLine and InvalidRequirement with the file and the line.
    """
    inputs = Inputs() if into is None else into
    file = _File(text_of, is_there, working_directory, environ, inputs)
    file.read(location, constraints=constraints)
    return inputs


def given(text: str, *, working_directory: str, origin: str = "the command line") -> Given:
    """Read one requirement as on pip's command line: a name, a URL, a path or a repository."""
    return _given(text.strip(), working_directory, origin, editable=False, hashes=())


class _File:
    def __init__(
        self,
        text_of: Read,
        is_there: Callable[[str], bool],
        working_directory: str,
        environ: Mapping[str, str],
        inputs: Inputs,
    ) -> None:
        self.text_of = text_of
        self.is_there = is_there
        self.working_directory = working_directory
        self.environ = environ
        self.inputs = inputs
        self.open: list[str] = []

    def read(self, location: str, *, constraints: bool) -> None:
        if location in self.open:
            raise BadLine(f"{location} includes itself, by way of {' → '.join(self.open)}")
        self.open.append(location)
        for number, line in logical_lines(self.text_of(location), self.environ):
            origin = f"{location}, line {number}"
            try:
                self.line(line, location, origin, constraints=constraints)
            except UsageError as error:
                if error.context.get("origin"):
                    raise
                raise type(error)(f"{origin}: {error.message}", origin=origin) from None
        self.open.pop()

    def line(self, line: str, location: str, origin: str, *, constraints: bool) -> None:
        if line.startswith("-"):
            self.options(line, location, origin, constraints=constraints)
            return
        text, *rest = _OPTIONS_START.split(line, maxsplit=1)
        hashes = _hashes(rest[0]) if rest else ()
        found = _given(text.strip(), self.working_directory, origin, editable=False, hashes=hashes)
        (self.inputs.constraints if constraints else self.inputs.requirements).append(found)

    def options(self, line: str, location: str, origin: str, *, constraints: bool) -> None:
        for option, value in _options(line):
            if option in {"--requirement", "--constraint"}:
                nested = constraints or option == "--constraint"
                self.read(_relative(location, value), constraints=nested)
            elif option == "--editable":
                found = _given(value, self.working_directory, origin, editable=True, hashes=())
                self.inputs.requirements.append(found)
            elif option == "--find-links":
                beside = value if "://" in value else _relative(location, value)
                self.inputs.find_links.append(beside if self.is_there(beside) else value)
            else:
                self.setting(option, value)

    def setting(self, option: str, value: str) -> None:
        inputs = self.inputs
        match option:
            case "--index-url":
                inputs.index_url = value
            case "--extra-index-url":
                inputs.extra_index_urls.append(value)
            case "--trusted-host":
                inputs.trusted_hosts.append(value)
            case "--no-binary":
                choose(value, inputs.no_binary, inputs.only_binary)
            case "--only-binary":
                choose(value, inputs.only_binary, inputs.no_binary)
            case "--all-releases" | "--pre":
                choose(value or ALL, inputs.all_releases, inputs.only_final)
            case "--only-final":
                choose(value, inputs.only_final, inputs.all_releases)
            case "--no-index":
                inputs.no_index = True
            case "--require-hashes" | "--no-require-hashes":
                inputs.require_hashes = option == "--require-hashes"


def choose(value: str, names: list[str], opposite: list[str]) -> None:
    """Add a comma separated list as `--no-binary` takes it, and take it from the opposite one.

    ":all:" takes the place of all that was named before, on both sides; ":none:" empties the
    list. So the last word on a name counts.
    """
    for part in filter(None, map(str.strip, value.split(","))):
        if part in {ALL, ":none:"}:
            names[:] = [ALL] if part == ALL else []
            if part == ALL:
                opposite.clear()
            continue
        name = normalize(part)
        names.append(name)
        opposite[:] = [each for each in opposite if each != name]


def logical_lines(text: str, environ: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Yield (number of the first line, line): joined at `\\`, no comments, variables filled in."""
    start = 0
    parts: list[str] = []
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        start = start if parts else number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            parts.append(line[:-1])
            continue
        # A line that is a comment ends what is continued, whatever it is glued to.
        ended = f" {line}" if line.startswith("#") else line
        joined = _COMMENT.sub("", "".join([*parts, ended])).strip()
        parts = []
        if joined:
            yield start, _fill(joined, environ)
    rest = _COMMENT.sub("", "".join(parts)).strip()
    if rest:
        yield start, _fill(rest, environ)


def decoded(data: bytes) -> str:
    """Return the text of a requirements file: by its mark, its coding line, or UTF-8.

    Raises UnicodeDecodeError, or LookupError for a coding that nobody knows.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding)
    for line in data.split(b"\n")[:2]:
        if line.startswith(b"#") and (match := _CODING.search(line)):
            return data.decode(match[1].decode("ascii"))
    return data.decode("utf-8")


def _fill(line: str, environ: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: environ.get(match[1]) or match[0], line)


def _options(line: str) -> Iterator[tuple[str, str]]:
    words = iter(shlex.split(line))
    for word in words:
        option, _, value = word.partition("=")
        if not word.startswith("--") and len(word) > 2:
            option, value = word[:2], word[2:].removeprefix("=")
        option = _LONG.get(option, option)
        if option in _FLAGS:
            yield option, ""
        elif option in _VALUES:
            value = value or next(words, "")
            if not value:
                raise BadLine(f"{option} needs a value")
            yield option, value
        else:
            raise BadLine(f"unknown option {word!r}")


def _hashes(options: str) -> tuple[str, ...]:
    found, words = [], iter(shlex.split(options))
    for word in words:
        option, _, value = word.partition("=")
        if option not in {"--hash", "--config-settings", "--config-setting", "--global-option"}:
            raise BadLine(f"unknown option {word!r} for a requirement")
        value = value or next(words, "")
        if option == "--hash":
            found.append(value.lower())
    return tuple(found)


def _relative(location: str, nested: str) -> str:
    if "://" in location:
        return urljoin(location, nested)
    return nested if "://" in nested else str(PurePath(location).parent / nested)


def _given(
    text: str, working_directory: str, origin: str, *, editable: bool, hashes: tuple[str, ...]
) -> Given:
    wanted = _direct(text, working_directory)
    if wanted is None:
        wanted = requirement_line.parse(text)
    if editable and not wanted.url:
        url = _file_url(text, working_directory)
        wanted = Requirement("", url=url)
    return Given(wanted, origin, hashes, editable)


def _direct(text: str, working_directory: str) -> Requirement | None:
    """Return the requirement that a bare URL, path or repository is; None for a named one."""
    where, _, marker = text.partition("; " if " ; " not in text else " ; ")
    where = where.strip()
    extras = ""
    match = None if "#" in where else _TRAILING_EXTRAS.match(where)
    if match and " @ " not in where:
        where, extras = match["path"], match["extras"]
    if _SCHEME.match(where):
        url = where
    elif _is_path(where):
        url = _file_url(where, working_directory)
    else:
        return None
    fragment = parse_qs(urlsplit(url).fragment)
    egg = requirement_line.parse(fragment["egg"][0]) if "egg" in fragment else Requirement("")
    wanted = requirement_line.parse(f"x[{extras}]").extras or egg.extras
    if marker:
        requirement_line.parse(f"x ; {marker}")
    return Requirement(egg.name, "", wanted, marker.strip(), url)


def _is_path(text: str) -> bool:
    if " @ " in text:
        return False
    head = re.split(r"[<>=!~;@\s]", text, maxsplit=1)[0]
    return text.startswith(".") or "/" in head or os.sep in head or bool(_ARCHIVE.search(text))


def _file_url(path: str, working_directory: str) -> str:
    path, _, fragment = path.partition("#")
    absolute = os.path.normpath(PurePath(working_directory, path))
    url = "file://" + quote(absolute.replace(os.sep, "/"))
    return f"{url}#{fragment}" if fragment else url
