"""Where the answer is to run: Python version, marker variables, wheel tags.

A `Target` is a value: it can describe this interpreter or another one on another system. It is
part of the first question to a node, so what only answers are weighed with is loaded later.
Wheel tags are kept as two short tables (Python with ABI, platform) instead of their product
of a thousand and more combinations (PEP 425, 600, 656).
"""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from dpip.errors import UsageError
from dpip.resolve import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dpip.resolve.facts import CandidateFile, Requirement

Tag = TypeVar("Tag")

ANY = "any"
_ANY_RANK = 1_000_000
"""Files for any platform come after all that name one, as `packaging.tags` has it."""

ALIASES = {
    "linux": "x86_64-unknown-linux-gnu",
    "macos": "aarch64-apple-darwin",
    "windows": "x86_64-pc-windows-msvc",
}
GLIBC_MINOR = 28
MUSL_MINOR = 2
MACOS = (13, 0)
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_WINDOWS = {"x86_64": "win_amd64", "i686": "win32", "aarch64": "win_arm64"}
_WINDOWS_MACHINES = {"win_amd64": "AMD64", "win32": "x86", "win_arm64": "ARM64"}


class UnknownPlatform(UsageError):
    """No such platform."""

    slug = "unknown-platform"
    default_hint = "use linux, macos, windows, a triple such as aarch64-unknown-linux-gnu, or a tag"


class Tags(msgspec.Struct, frozen=True):
    """Compatible wheel tags, best first: pairs of Python and ABI, and platforms."""

    pairs: Mapping[tuple[str, str], int]
    platforms: Mapping[str, int]

    def rank(self, filename: str) -> int | None:
        """Return how well a wheel fits, lowest is best; None: not at all."""
        wheel = names.wheel_name(filename)
        if wheel is None:
            return None
        pair = _best(self.pairs, [(p, a) for p in wheel.pythons for a in wheel.abis])
        if pair is None:
            return None
        platform = _best(self.platforms, wheel.platforms)
        if platform is not None:
            return pair * len(self.platforms) + platform
        return _ANY_RANK + pair if ANY in wheel.platforms and "none" in wheel.abis else None


def _best(ranks: Mapping[Tag, int], tags: Iterable[Tag]) -> int | None:
    found = None
    for tag in tags:
        rank = ranks.get(tag)
        if rank is not None and (found is None or rank < found):
            found = rank
    return found


class Environment(Protocol):
    """What a solver must know about where the answer is to run."""

    def active(self, marker: str, extra: str = "") -> bool:
        """Say whether a marker can hold, with one extra asked for or none."""
        ...

    def admits_python(self, requires_python: str) -> bool:
        """Say whether a Requires-Python lets the Python in; upper bounds are not looked at."""
        ...

    def rank(self, filename: str) -> int | None:
        """Return how well a wheel fits, lowest is best; None: not at all."""
        ...

    def forks(self, requirements: Iterable[tuple[Requirement, str]]) -> tuple[Environment, ...]:
        """Return the parts to solve apart because requirements disagree, or nothing."""
        ...

    def python_forks(self, requires_python: str) -> tuple[Environment, ...]:
        """Return the parts to solve apart because of the Python that a version needs."""
        ...

    def platform_forks(self, files: Sequence[CandidateFile]) -> tuple[Environment, ...] | None:
        """Return the parts to solve apart because of the files there are; None: unusable."""
        ...


class Forked(Exception):
    """The environment has to be solved in parts."""

    def __init__(self, parts: tuple[Environment, ...]) -> None:
        super().__init__(parts)
        self.parts = parts


class Target(msgspec.Struct, frozen=True):
    """One environment. `variables` are the marker variables of PEP 508."""

    variables: Mapping[str, str]
    tags: Tags

    @property
    def python(self) -> str:
        """Full Python version, such as 3.12.4."""
        return self.variables["python_full_version"]

    def admits_python(self, requires_python: str) -> bool:
        """Say whether a Requires-Python lets this Python in; upper bounds are not looked at.

        An upper bound says what was tested, not what works, and obeying it makes a solver
        walk back to the last release that did not have one.
        """
        if not requires_python:
            return True
        from dpip.resolve import requires_python as bounds

        return bounds.admits(self.python, requires_python)

    def rank(self, filename: str) -> int | None:
        """Return how well a wheel fits, lowest is best; None: not at all."""
        return self.tags.rank(filename)

    def forks(self, _requirements: Iterable[tuple[Requirement, str]]) -> tuple[Environment, ...]:
        """Return nothing: one environment has no parts."""
        return ()

    def python_forks(self, _requires_python: str) -> tuple[Environment, ...]:
        """Return nothing: one environment has no parts."""
        return ()

    def platform_forks(self, _files: Sequence[CandidateFile]) -> tuple[Environment, ...] | None:
        """Return nothing: the rank of the files has decided."""
        return ()

    def active(self, marker: str, extra: str = "") -> bool:
        """Say whether a marker holds here, with one extra asked for or none."""
        if not marker:
            return True
        from dpip.resolve import markers

        return markers.holds(markers.parse(marker), self.variables, extra)


def here() -> Target:
    """Return this interpreter on this machine."""
    from packaging.tags import interpreter_name, platform_tags, sys_tags

    variables = _variables()
    platforms = list(platform_tags())
    if interpreter_name() == "cp":
        pairs = cpython_pairs(variables["python_version"])
    else:
        pairs = list(dict.fromkeys((tag.interpreter, tag.abi) for tag in sys_tags()))
    return Target(variables, _tags(pairs, platforms))


def _variables() -> dict[str, str]:
    """Return the marker variables of this interpreter (PEP 508).

    `packaging.markers` has them too, at the price of loading its parser first.
    """
    import platform

    own = sys.implementation
    return {
        "implementation_name": own.name,
        "implementation_version": _release(own.version),
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


def _release(info: Any) -> str:
    release = f"{info.major}.{info.minor}.{info.micro}"
    return (
        release if info.releaselevel == "final" else f"{release}{info.releaselevel[0]}{info.serial}"
    )


def target(python: str | None, platform: str | None, tags: Sequence[str] = ()) -> Target:
    """Return another environment: a Python version, a platform or triple, or platform tags.

    What is None is taken from this interpreter. Raises UnknownPlatform.
    """
    if python is None and platform is None and not tags:
        return here()
    base = here().variables
    full = _full(python) if python else base["python_full_version"]
    short = ".".join(full.split(".")[:2])
    changed = {"python_version": short, "python_full_version": full}
    if python:
        changed["implementation_version"] = full
    if platform is None and not tags:
        from packaging.tags import platform_tags

        return Target({**base, **changed}, _tags(cpython_pairs(short), list(platform_tags())))
    platforms, system = _platform(platform, tags)
    return Target({**base, **system, **changed}, _tags(cpython_pairs(short), platforms))


def with_python(base: Target, python: str) -> Target:
    """Return a target that differs in its Python version only (CPython)."""
    full = _full(python)
    short = ".".join(full.split(".")[:2])
    changed = {"python_version": short, "python_full_version": full, "implementation_version": full}
    tags = _tags(cpython_pairs(short), list(base.tags.platforms))
    return Target({**base.variables, **changed}, tags)


def _full(python: str) -> str:
    if not re.fullmatch(r"\d+\.\d+(\.\d+)?((a|b|rc)\d+)?\+?", python):
        raise UsageError(f"not a Python version: {python!r}", hint="write it as 3.12 or 3.12.4")
    return python if python.count(".") > 1 else f"{python}.0"


def _tags(pairs: Sequence[tuple[str, str]], platforms: Sequence[str]) -> Tags:
    order = {platform: rank for rank, platform in enumerate(dict.fromkeys(platforms))}
    return Tags({pair: rank for rank, pair in enumerate(dict.fromkeys(pairs))}, order)


def cpython_pairs(python_version: str) -> list[tuple[str, str]]:
    """Return the (Python, ABI) tags that CPython X.Y takes, best first."""
    major, minor = (int(part) for part in python_version.split(".")[:2])
    own = f"cp{major}{minor}"
    abi = own + ("m" if (major, minor) < (3, 8) else "")
    pairs = [(own, abi), (own, "abi3"), (own, "none")]
    pairs += [(f"cp{major}{older}", "abi3") for older in range(minor - 1, 1, -1)]
    generic = [f"py{major}{minor}", f"py{major}"]
    generic += [f"py{major}{older}" for older in range(minor - 1, -1, -1)]
    return pairs + [(python, "none") for python in generic]


def _platform(platform: str | None, tags: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    if tags:
        parts = [_of_tag(tag) for tag in tags if tag != ANY]
        platforms = [each for found, _ in parts for each in found]
        return platforms, parts[0][1] if parts else {}
    return _of_triple(ALIASES.get(str(platform), str(platform)))


def _of_triple(triple: str) -> tuple[list[str], dict[str, str]]:
    machine, _, rest = triple.partition("-")
    manylinux = re.fullmatch(r"manylinux(?:_2_(\d+)|2014|2010)", rest)
    if manylinux:
        fixed = {"manylinux2014": 17, "manylinux2010": 12}
        return _glibc(int(manylinux[1] or fixed[rest]), machine), _linux(machine)
    if rest in {"unknown-linux-gnu", "linux-gnu"}:
        return _glibc(GLIBC_MINOR, machine), _linux(machine)
    if rest in {"unknown-linux-musl", "linux-musl"}:
        return _musl(MUSL_MINOR, machine), _linux(machine)
    if rest == "apple-darwin":
        return _macos(MACOS, "arm64" if machine == "aarch64" else machine)
    if rest == "pc-windows-msvc" and machine in _WINDOWS:
        return _windows(_WINDOWS[machine])
    raise UnknownPlatform(f"unknown platform {triple!r}")


def _of_tag(tag: str) -> tuple[list[str], dict[str, str]]:
    tag = re.sub(r"[-.]", "_", tag)
    for minor, legacy in _LEGACY.items():
        tag = re.sub(rf"^{legacy}_", f"manylinux_2_{minor}_", tag)
    match = re.fullmatch(r"(manylinux|musllinux|macosx)_(\d+)_(\d+)_(\w+)", tag)
    if match is None:
        if tag in _WINDOWS.values():
            return _windows(tag)
        if tag.startswith("linux_"):
            return [tag], _linux(tag.removeprefix("linux_"))
        raise UnknownPlatform(f"unknown platform tag {tag!r}")
    system, major, minor, machine = match[1], int(match[2]), int(match[3]), match[4]
    if system == "macosx":
        return _macos((major, minor), machine)
    tags = _glibc(minor, machine) if system == "manylinux" else _musl(minor, machine)
    return tags, _linux(machine)


def _glibc(minor: int, machine: str) -> list[str]:
    oldest = 5 if machine in {"x86_64", "i686"} else 17
    found = []
    for each in range(minor, oldest - 1, -1):
        found.append(f"manylinux_2_{each}_{machine}")
        if each in _LEGACY:
            found.append(f"{_LEGACY[each]}_{machine}")
    return [*found, f"linux_{machine}"]


def _musl(minor: int, machine: str) -> list[str]:
    found = [f"musllinux_1_{each}_{machine}" for each in range(minor, -1, -1)]
    return [*found, f"linux_{machine}"]


def _linux(machine: str) -> dict[str, str]:
    return _system("posix", "linux", "Linux", machine)


def _macos(version: tuple[int, int], machine: str) -> tuple[list[str], dict[str, str]]:
    from packaging.tags import mac_platforms

    return list(mac_platforms(version, machine)), _system("posix", "darwin", "Darwin", machine)


def _windows(tag: str) -> tuple[list[str], dict[str, str]]:
    return [tag], _system("nt", "win32", "Windows", _WINDOWS_MACHINES[tag])


def _system(os_name: str, sys_platform: str, system: str, machine: str) -> dict[str, str]:
    return {
        "os_name": os_name,
        "sys_platform": sys_platform,
        "platform_system": system,
        "platform_machine": machine,
        "platform_release": "",
        "platform_version": "",
    }
