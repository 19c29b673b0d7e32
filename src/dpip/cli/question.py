"""The words of `dpip resolve` and `dpip pack` as a question for the resolver."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from dpip.errors import UsageError
from dpip.resolve import requirements_file
from dpip.resolve.credentials import Credentials
from dpip.resolve.engine import Places
from dpip.resolve.request import ALL

if TYPE_CHECKING:
    import argparse

    from dpip.cli.default_index import Whereabouts
    from dpip.resolve.request import Request
    from dpip.resolve.requirements_file import Inputs


class Words(msgspec.Struct, frozen=True):
    """The command line and the files that it names, read but not yet weighed."""

    inputs: Inputs
    overrides: Inputs
    places: Places

    def names(self) -> list[str]:
        """Return the projects that are certainly looked at."""
        given = [*self.inputs.requirements, *self.overrides.requirements]
        plain = [g.requirement for g in given if not g.requirement.url and not g.requirement.marker]
        return [requirement.name for requirement in plain]


def read(args: argparse.Namespace, where: Whereabouts) -> Words:
    """Read the words; `where` holds where they name no index.

    Raises UsageError for anything that makes no sense, with the file and line.
    """
    inputs = _inputs(args)
    overrides = requirements_file.Inputs()
    for path in args.override:
        _read_file(path, overrides, args)
    if not inputs.requirements:
        raise UsageError("nothing to resolve", hint="name requirements, or files of them with -r")
    return Words(inputs, overrides, _places(args, inputs, where))


def request(words: Words, args: argparse.Namespace) -> Request:
    """Return what is to be solved."""
    from dpip.resolve.environment import target
    from dpip.resolve.request import Formats, Releases, Request

    inputs = words.inputs
    return Request(
        requirements=tuple(inputs.requirements),
        target=target(args.python_version, args.python_platform, args.platform),
        constraints=tuple(inputs.constraints),
        overrides=tuple(words.overrides.requirements),
        resolution=args.resolution,
        releases=Releases(frozenset(inputs.all_releases), frozenset(inputs.only_final)),
        exclude_newer=_moment(args.exclude_newer),
        formats=Formats(frozenset(inputs.no_binary), frozenset(inputs.only_binary)),
        require_hashes=inputs.require_hashes,
        universal=args.universal,
        requires_python=_pythons(args),
        required_environments=tuple(args.required_environment),
    )


def _pythons(args: argparse.Namespace) -> str:
    """Return the Pythons of a universal answer where they begin within a minor version."""
    written = str(args.python_version or "").removesuffix("+")
    return f">={written}" if args.universal and written.count(".") > 1 else ""


def _inputs(args: argparse.Namespace) -> Inputs:
    inputs = requirements_file.Inputs()
    _choose(args, inputs)
    for words in args.requirement:
        inputs.requirements.append(
            requirements_file.given(words, working_directory=str(Path.cwd()))
        )
    for words in args.editable:
        line = f"-e {words}"
        requirements_file.read(
            "the command line",
            lambda _, line=line: line,  # type: ignore[misc]
            working_directory=str(Path.cwd()),
            environ=os.environ,
            into=inputs,
        )
    for path in args.requirements:
        _read_file(path, inputs, args)
    for path in args.constraint:
        _read_file(path, inputs, args, constraints=True)
    _add_projects(args, inputs)
    return inputs


def _choose(args: argparse.Namespace, inputs: Inputs) -> None:
    """Take the choices of the command line; those in files are made after them, as for pip."""
    choose = requirements_file.choose
    for value in args.no_binary:
        choose(value, inputs.no_binary, inputs.only_binary)
    for value in args.only_binary:
        choose(value, inputs.only_binary, inputs.no_binary)
    for value in (*args.all_releases, *([ALL] if args.pre else [])):
        choose(value, inputs.all_releases, inputs.only_final)
    for value in args.only_final:
        choose(value, inputs.only_final, inputs.all_releases)


def _add_projects(args: argparse.Namespace, inputs: Inputs) -> None:
    """Add what dependency groups and scripts ask for."""
    if not args.group and not args.requirements_from_script:
        return
    from dpip.resolve import project_groups

    for words in args.group:
        path, name = project_groups.place(words)
        inputs.requirements += project_groups.group(_text(path, args), name, path)
    for path in args.requirements_from_script:
        script = project_groups.script(_text(path, args), path)
        _check_python(args, path, script.requires_python)
        inputs.requirements += script.requirements


def _check_python(args: argparse.Namespace, path: str, requires_python: str) -> None:
    from dpip.resolve.environment import target

    asked = target(args.python_version, None)
    if not asked.admits_python(requires_python):
        raise UsageError(
            f"{path} needs Python {requires_python}, not {asked.python}",
            hint="choose one with --python-version",
        )


def _read_file(
    path: str, into: Inputs, args: argparse.Namespace, *, constraints: bool = False
) -> None:
    requirements_file.read(
        path,
        lambda location: _text(location, args),
        working_directory=str(Path.cwd()),
        environ=os.environ,
        constraints=constraints,
        into=into,
        is_there=os.path.exists,
    )


def _text(location: str, args: argparse.Namespace) -> str:
    if location == "-":
        import sys

        return sys.stdin.read()
    try:
        return requirements_file.decoded(_bytes(location, args))
    except (OSError, UnicodeDecodeError, LookupError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"cannot read {location}: {reason}") from None


def _bytes(location: str, args: argparse.Namespace) -> bytes:
    if location.startswith("file:"):
        from dpip.resolve.find_links import local_path

        return local_path(location).read_bytes()
    if not location.startswith(("http://", "https://")):
        return Path(location).read_bytes()
    from dpip.resolve.connections import open_transport
    from dpip.resolve.transport import get

    if args.offline:
        raise UsageError(f"{location}: cannot be read --offline")
    transport = open_transport(trusted_hosts=frozenset(args.trusted_host))
    try:
        return get(transport, location, {"Accept-Encoding": "gzip"}, 64 * 2**20)
    finally:
        transport.close()


def _places(args: argparse.Namespace, inputs: Inputs, where: Whereabouts) -> Places:
    main = args.index_url or inputs.index_url
    without = args.no_index or inputs.no_index
    extra = [*args.extra_index_url, *inputs.extra_index_urls]
    find_links = [*args.find_links, *inputs.find_links]
    trusted = [*args.trusted_host, *inputs.trusted_hosts, *where.trusted_hosts]
    trusted += os.environ.get("PIP_TRUSTED_HOST", "").split()
    if not main and not without:
        main = where.index_url
        extra += where.extra_index_urls
        find_links += where.find_links
    indexes = () if without else (*extra, *([main] if main else []))
    if not indexes and not find_links:
        raise UsageError("there is no index to ask", hint="name one with --index-url")
    return Places(
        indexes=tuple(map(_checked_url, indexes)),
        find_links=tuple(find_links),
        offline=args.offline,
        refresh=args.refresh,
        trusted_hosts=frozenset(trusted),
        variables=where.variables,
    )


def _checked_url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        bare = Credentials((), {}).split(url)[0]
        raise UsageError(f"{bare!r} is not an index URL", hint="it begins with https://")
    return url


def _moment(text: str | None) -> float | None:
    """Return a date or a moment (UTC where it names no zone) in seconds since the epoch.

    A date means the end of that day: what was uploaded on it counts.
    """
    if text is None:
        return None
    from datetime import UTC, datetime, timedelta

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        hint = "write it as 2026-11-20 or 2026-11-20T08:00:00Z"
        raise UsageError(f"--exclude-newer {text!r} is no moment", hint=hint) from None
    if len(text) <= len("2026-11-20"):
        moment += timedelta(days=1)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
