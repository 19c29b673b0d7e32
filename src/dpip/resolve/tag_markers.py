"""What a wheel's tags say about the environments that it fits, as markers (PEP 425, 600, 656)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.version import Version

from dpip.resolve import algebra
from dpip.resolve.algebra import FALSE, PYTHON, TRUE, Cut, both, either, of

if TYPE_CHECKING:
    from dpip.resolve.algebra import Marker
    from dpip.resolve.names import WheelName

_PYTHON = re.compile(r"(py|cp|pp)(\d)(\d*)")
_MACHINES = {
    "amd64": "platform_machine == 'AMD64'",
    "win32": "platform_machine == 'x86'",
    "i686": "platform_machine == 'i686' or platform_machine == 'i386'",
    "universal2": "platform_machine == 'arm64' or platform_machine == 'x86_64'",
    "intel": "platform_machine == 'x86_64' or platform_machine == 'i386'",
}


def pythons(wheel: WheelName) -> Marker:
    """Return the Pythons that a wheel can be used by."""
    found: Marker = FALSE
    stable = "abi3" in wheel.abis or "none" in wheel.abis
    for tag in wheel.pythons:
        found = either(found, _python(tag, stable=stable))
    return found


@lru_cache(maxsize=256)
def _python(tag: str, *, stable: bool) -> Marker:
    match = _PYTHON.fullmatch(tag)
    if match is None:
        return FALSE
    family, major, minor = match[1], int(match[2]), match[3]
    lowest = Cut(Version(f"{major}.{minor or 0}"), after=False)
    one_version = family == "pp" or (family == "cp" and not stable)
    ends = f"{major}.{int(minor or 0) + 1}" if one_version and minor else f"{major + 1}"
    versions = algebra.between(PYTHON, lowest, Cut(Version(ends), after=False))
    if family == "py":
        return versions
    return both(versions, of(f"implementation_name == '{'cpython' if family == 'cp' else 'pypy'}'"))


def platforms(wheel: WheelName) -> Marker:
    """Return the systems and machines that a wheel is for."""
    found: Marker = FALSE
    for tag in wheel.platforms:
        found = either(found, _platform(tag))
    return found


@lru_cache(maxsize=1024)
def _platform(tag: str) -> Marker:
    if tag == "any":
        return TRUE
    if tag.startswith("win"):
        machine = (
            tag.removeprefix("win_").upper() if tag == "win_arm64" else tag.removeprefix("win_")
        )
        return both(of("sys_platform == 'win32'"), _machine(machine))
    if tag.startswith("macosx_"):
        machine = re.sub(r"^macosx_\d+_\d+_", "", tag)
        return both(of("sys_platform == 'darwin'"), _machine(machine))
    if tag.startswith(("manylinux", "musllinux", "linux_")):
        machine = re.sub(r"^(?:many|musl)?linux(?:\d+|_\d+_\d+)?_", "", tag)
        return both(of("sys_platform == 'linux'"), _machine(machine))
    return FALSE


def _machine(name: str) -> Marker:
    return of(_MACHINES.get(name, f"platform_machine == '{name}'"))
