"""Small indexes for solver tests: written by hand, from scenarios, or from recorded data."""

from __future__ import annotations

import json
import lzma
import tomllib
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from dpip.resolve import environment, names
from dpip.resolve.facts import (
    CandidateFile,
    Dependencies,
    InMemory,
    Project,
    Unavailable,
)
from dpip.resolve.request import Given, Request
from dpip.resolve.requirement import parse
from dpip.resolve.resolution import Impossible, NeedMore, Solution
from dpip.resolve.session import Session

if TYPE_CHECKING:
    from pathlib import Path

    from dpip.resolve.facts import Wants

LINUX = environment.target("3.12", "linux")


def given(*texts: str) -> tuple[Given, ...]:
    return tuple(Given(parse(text)) for text in texts)


@dataclass
class World:
    """An index of which a solver sees only what it asks for."""

    facts: InMemory = field(default_factory=InMemory)
    rounds: int = 0
    asked: list[str] = field(default_factory=list)

    def release(
        self,
        name: str,
        version: str,
        requires: tuple[str, ...] | list[str] = (),
        *,
        requires_python: str = "",
        yanked: str | None = None,
        tags: tuple[str, ...] = ("py3-none-any",),
        sdist: bool = True,
        upload_time: float | None = 1_700_000_000.0,
        extras: dict[str, list[str]] | None = None,
    ) -> None:
        stem = f"{name.replace('-', '_')}-{version}"
        files = [f"{stem}-{tag}.whl" for tag in tags] + ([f"{stem}.tar.gz"] if sdist else [])
        page = self.facts.projects.get(name)
        held = (
            dict(zip(page.versions, page.files, strict=True)) if isinstance(page, Project) else {}
        )
        held[str(Version(version))] = tuple(
            CandidateFile(
                file,
                f"http://index/{file}",
                "wheel" if file.endswith(".whl") else "sdist",
                sha256=f"{hash(file) & (2**64 - 1):064x}",
                requires_python=requires_python,
                yanked=yanked,
                upload_time=upload_time,
            )
            for file in files
        )
        order = sorted(held, key=Version, reverse=True)
        self.facts.projects[name] = Project(name, tuple(order), [held[each] for each in order])
        lines = list(requires)
        for extra, wanted in (extras or {}).items():
            lines += [_under_extra(each, extra) for each in wanted]
        record = Dependencies(
            name,
            str(Version(version)),
            tuple(parse(line) for line in lines),
            tuple(extras or ()),
            requires_python,
        )
        for file in files:
            self.facts.metadata[file] = record

    def answer(self, request: Request) -> Solution | Impossible:
        """Resolve, giving facts only when they are asked for."""
        known = InMemory()
        session = Session(request, known)
        while True:
            outcome = session.run()
            if not isinstance(outcome, NeedMore):
                return outcome
            self.rounds += 1
            self.give(known, outcome.wants)

    def give(self, known: InMemory, wants: Wants) -> None:
        nothing = Unavailable("not-found")
        assert wants
        for name in wants.projects:
            self.asked.append(name)
            known.projects[name] = self.facts.projects.get(name, nothing)
        for file in (*wants.metadata, *wants.ahead):
            self.asked.append(file.filename)
            known.metadata[file.filename] = self.facts.metadata.get(file.filename, nothing)
        for url in wants.direct:
            known.directs[url] = self.facts.directs.get(url, nothing)


def _under_extra(text: str, extra: str) -> str:
    wanted, _, marker = text.partition(";")
    return f"{wanted} ; {f'({marker}) and ' if marker else ''}extra == '{extra}'"


def pins(outcome: Solution | Impossible) -> dict[str, str] | None:
    if isinstance(outcome, Impossible):
        return None
    return {pin.name: pin.version for pin in outcome.pins}


def scenario_world(scenario: dict[str, Any]) -> World:
    """Build the index of a scenario in packse's format."""
    world = World()
    for name, project in scenario.get("packages", {}).items():
        for version, given_ in project.get("versions", {}).items():
            wheel = given_.get("wheel", True)
            world.release(
                names.normalize(name),
                version,
                given_.get("requires", []),
                requires_python=given_.get("requires_python", ">=3.12"),
                yanked="" if given_.get("yanked") else None,
                tags=tuple(given_.get("wheel_tags") or ["py3-none-any"]) if wheel else (),
                sdist=given_.get("sdist", True),
                extras=given_.get("extras"),
            )
    return world


def load_scenario(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8"))


@cache
def replay(data: Path) -> InMemory:
    """Read the recording of a real index."""
    facts = InMemory()
    for row in _rows(data / "metadata.jsonl.xz"):
        facts.metadata[row["f"]] = _read_metadata(row["head"])
    for row in _rows(data / "projects.jsonl.xz"):
        facts.projects[row["name"]] = _read_page(row)
    return facts


def _rows(path: Path) -> list[dict[str, Any]]:
    with lzma.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


def _read_metadata(head: str) -> Dependencies:
    fields: dict[str, list[str]] = {}
    for line in head.splitlines():
        key, _, value = line.partition(": ")
        fields.setdefault(key, []).append(value)
    return Dependencies(
        names.normalize(fields["Name"][0]),
        str(Version(fields["Version"][0])),
        tuple(parse(each) for each in fields.get("Requires-Dist", ())),
        tuple(names.normalize(each) for each in fields.get("Provides-Extra", ())),
        fields.get("Requires-Python", [""])[0],
    )


def _read_page(row: dict[str, Any]) -> Project:
    yanked = {each if isinstance(each, int) else each[0] for each in row["y"]}
    versions: dict[Version, list[CandidateFile]] = {}
    for place, filename in enumerate(row["names"]):
        version = names.file_version(filename, row["name"])
        if version is None:
            continue
        python = row["r"][place]
        file = CandidateFile(
            filename,
            f"http://index/{filename}",
            "wheel" if filename.endswith(".whl") else "sdist",
            row["h"][place * 64 : place * 64 + 64],
            requires_python=row["rp"][python] if python >= 0 else "",
            yanked="" if place in yanked else None,
        )
        versions.setdefault(version, []).append(file)
    order = sorted(versions, reverse=True)
    return Project(
        row["name"], tuple(map(str, order)), [tuple(versions[version]) for version in order]
    )
