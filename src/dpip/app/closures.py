"""The closure that a mirror follows, found by our own resolver.

A mirror is no environment: its roots need not go together, and each is asked for by itself,
for every Python and platform. Where the mirror keeps the newest N releases of its roots, the
closure of each of those is found too, so that the older one installs as well.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from dpip.app.pip_settings import index_url
from dpip.errors import UsageError
from dpip.resolve import requirements_file
from dpip.resolve.engine import Engine, Places
from dpip.resolve.environment import ALIASES, target
from dpip.resolve.facts import Requirement
from dpip.resolve.request import Given, Request
from dpip.resolve.resolution import Impossible
from dpip.resolve.store import FILE_NAME, Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dpip.mirror.scope import FindClosure, Found
    from dpip.resolve.environment import Target
    from dpip.resolve.resolution import Pin
    from dpip.settings import Settings

FOLDER = "resolve"


def closures_of(settings: Settings) -> FindClosure:
    """Return what finds closures on a home's upstream; its facts are kept in the home."""

    def find(
        roots: Sequence[str], pythons: Sequence[str], platforms: Sequence[str], releases: int
    ) -> Found:
        url = settings.index_url or index_url(settings.url)
        directory = settings.home / FOLDER
        directory.mkdir(parents=True, exist_ok=True)
        engine = Engine(Places((url,)), Store(directory / FILE_NAME), directory, time.time())
        try:
            return _find(engine, roots, list(_targets(pythons, platforms)), releases)
        finally:
            engine.close()

    return find


def _find(
    engine: Engine, roots: Sequence[str], targets: Sequence[tuple[str, Target]], releases: int
) -> Found:
    chosen: dict[str, set[str]] = {}
    problems: list[str] = []
    for root in roots:
        given = requirements_file.given(root, working_directory=str(Path.cwd()), origin="mirror")
        for name, environment in targets:
            found = 0
            for pins in _answers(engine, given, environment, releases):
                found += 1
                for pin in pins:
                    chosen.setdefault(pin.name, set()).add(pin.file.filename)
            if not found:
                problems.append(f"{root} has no answer for {name}")
    return {name: frozenset(files) for name, files in chosen.items()}, problems


def _answers(
    engine: Engine, root: Given, environment: Target, releases: int
) -> Iterator[tuple[Pin, ...]]:
    """Yield the closures of a root's newest releases, each once."""
    wanted = root
    for _ in range(releases):
        outcome = engine.solve(Request((wanted,), environment))
        if isinstance(outcome, Impossible):
            return
        yield tuple(pin for pin in outcome.pins if not pin.url)
        [version] = [pin.version for pin in outcome.pins if pin.name == root.requirement.name]
        wanted = Given(_below(wanted.requirement, version), "mirror")


def _below(requirement: Requirement, version: str) -> Requirement:
    bounds = [each for each in requirement.specifier.split(",") if each]
    return Requirement(requirement.name, ",".join([*bounds, f"<{version}"]), requirement.extras)


def _targets(pythons: Sequence[str], platforms: Sequence[str]) -> Iterator[tuple[str, Target]]:
    """Yield every environment with its name; without any, the one that we run in."""
    for python in pythons or (None,):
        for platform in platforms or (None,):
            name = " on ".join(filter(None, [f"Python {python}" if python else "", platform or ""]))
            yield name or "this Python", _target(python, platform)


def _target(python: str | None, platform: str | None) -> Target:
    if platform is None or platform in ALIASES:
        return target(python, platform)
    if set(platform) & set("*?["):
        raise UsageError(
            f"mirror: with-dependencies cannot resolve for the pattern {platform!r}",
            hint="name platforms: linux, macos, windows, or a wheel tag",
        )
    return target(python, None, [platform])
