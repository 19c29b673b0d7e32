"""Whether an answer to a scenario is one: judged by `packaging` alone, not by the solver.

The rules where standards leave a choice are those of decision 10: upper bounds of
Requires-Python do not count, and a yanked version needs a `==` that the user wrote.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from packaging import tags
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from tests.resolve.random_scenarios import Scenario

SYSTEMS = {
    "linux": {"sys_platform": "linux", "os_name": "posix", "platform_system": "Linux"},
    "windows": {"sys_platform": "win32", "os_name": "nt", "platform_system": "Windows"},
    "macos": {"sys_platform": "darwin", "os_name": "posix", "platform_system": "Darwin"},
}
MACHINES = {"linux": "x86_64", "windows": "AMD64", "macos": "arm64"}
IMPLEMENTATIONS = {"cpython": "CPython", "pypy": "PyPy"}
PYTHONS = ("3.10.0", "3.11.2", "3.12.0", "3.12.3", "3.12.4", "3.12.9", "3.13.0", "3.13.5", "3.14.1")


def environment(
    python: str, system: str, machine: str = "", implementation: str = "cpython"
) -> dict[str, str]:
    """Return the marker variables of one environment."""
    full = python if python.count(".") > 1 else f"{python}.0"
    return {
        **SYSTEMS[system],
        "platform_machine": machine or MACHINES[system],
        "platform_release": "",
        "platform_version": "",
        "implementation_name": implementation,
        "platform_python_implementation": IMPLEMENTATIONS[implementation],
        "implementation_version": full,
        "python_full_version": full,
        "python_version": ".".join(full.split(".")[:2]),
    }


def environments(oldest: str) -> Iterator[dict[str, str]]:
    """Yield environments of every kind, with Pythons from `oldest` on."""
    pythons = [each for each in PYTHONS if Version(each) >= Version(oldest)]
    machines = ("x86_64", "arm64")
    for chosen in itertools.product(pythons, SYSTEMS, machines, IMPLEMENTATIONS):
        yield environment(*chosen)


def tags_of(python: str, system: str) -> set[str]:
    """Return the wheel tags that a CPython on a system takes."""
    major, minor = map(int, python.split(".")[:2])
    platforms = {
        "linux": [f"manylinux_2_{each}_x86_64" for each in range(5, 29)],
        "macos": list(tags.mac_platforms((13, 0), "arm64")),
        "windows": ["win_amd64"],
    }[system]
    own = tags.cpython_tags((major, minor), platforms=platforms)
    generic = tags.compatible_tags((major, minor), f"cp{major}{minor}", platforms)
    return {str(tag) for tag in (*own, *generic)}


class Judge:
    """One environment of a scenario. `taken` are its wheel tags; None: any wheel will do."""

    def __init__(
        self, scenario: Scenario, where: Mapping[str, str], taken: Container[str] | None = None
    ) -> None:
        self.where = where
        self.taken = taken
        self.options = scenario["resolver_options"]
        self.index = {
            name: {str(Version(version)): release for version, release in each["versions"].items()}
            for name, each in scenario["packages"].items()
        }
        self.roots = [Requirement(line) for line in scenario["root"]["requires"]]
        self.bounds = [Requirement(line) for line in scenario["constraints"]]
        self._lines: dict[tuple[str, str, str], list[Requirement]] = {}

    def applies(self, requirement: Requirement) -> bool:
        marker = requirement.marker
        return marker is None or marker.evaluate({**self.where, "extra": ""})

    def fault(self, chosen: Mapping[str, str]) -> str:
        """Return what is wrong with an assignment of versions; empty: nothing."""
        seen: set[tuple[str, str]] = set()
        queue = [each for each in self.roots if self.applies(each)]
        while queue:
            requirement = queue.pop()
            name, version = requirement.name, chosen.get(requirement.name)
            if version is None or not self.fits(requirement, version):
                return f"{requirement} has {version}"
            for extra in ("", *requirement.extras):
                if (name, extra) not in seen:
                    seen.add((name, extra))
                    queue += self.lines(name, version, extra)
        needless = set(chosen) - {name for name, _ in seen}
        return f"nobody needs {needless}" if needless else ""

    def lines(self, name: str, version: str, extra: str) -> list[Requirement]:
        key = name, version, extra
        found = self._lines.get(key)
        if found is None:
            release = self.index[name][version]
            texts = release.get("extras", {}).get(extra, []) if extra else release["requires"]
            found = [each for each in map(Requirement, texts) if self.applies(each)]
            self._lines[key] = found
        return found

    def fits(self, requirement: Requirement, version: str) -> bool:
        name = requirement.name
        asked = [requirement, *(each for each in self.bounds if each.name == name)]
        bounds = [each.specifier for each in asked if self.applies(each)]
        within = all(bound.contains(version, prereleases=True) for bound in bounds)
        return within and self.usable(name, version)

    def usable(self, name: str, version: str) -> bool:
        release = self.index[name][version]
        return (
            self.admits_python(release["requires_python"])
            and self.has_file(name, release)
            and (not release.get("yanked") or self.is_pinned(name, version))
        )

    def admits_python(self, requires_python: str) -> bool:
        python = self.where["python_full_version"]
        for clause in SpecifierSet(requires_python):
            lower = clause.operator in {">=", ">"}
            bound = str(clause) if lower else ">=" + clause.version.removesuffix(".*")
            if clause.operator not in {"<", "<="} and not SpecifierSet(bound).contains(python):
                return False
        return True

    def has_file(self, name: str, release: Scenario) -> bool:
        if release["sdist"] and name not in self.options.get("no_build", ()):
            return True
        if not release.get("wheel", True) or name in self.options.get("no_binary", ()):
            return False
        listed = [tags.parse_tag(each) for each in release.get("wheel_tags", ["py3-none-any"])]
        return self.taken is None or any(str(tag) in self.taken for each in listed for tag in each)

    def is_pinned(self, name: str, version: str) -> bool:
        # In an answer for all environments a pin counts wherever one version is for all.
        return any(
            each.name == name and _names(each, version)
            for each in (*self.roots, *self.bounds)
            if self.taken is None or self.applies(each)
        )

    def answers(self) -> bool:
        """Say whether any assignment at all is an answer, by trying them all."""
        choices = [[None, *versions] for versions in self.index.values()]
        for combination in itertools.product(*choices):
            pairs = zip(self.index, combination, strict=True)
            fault = self.fault({name: version for name, version in pairs if version is not None})
            if not fault or fault.startswith("nobody"):
                return True
        return False


def _names(requirement: Requirement, version: str) -> bool:
    return any(
        clause.operator in {"==", "==="}
        and not clause.version.endswith("*")
        and clause.contains(version, prereleases=True)
        for clause in requirement.specifier
    )
