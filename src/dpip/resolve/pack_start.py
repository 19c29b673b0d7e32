"""What runs first inside a packed archive: find what an earlier start installed, and go on.

This file, `pack_runtime.py` and `wheel_install.py` are copied into each archive and run there
alone: standard library only, Python 3.9. Nothing in an archive is ever compiled to disk, so
what every start needs is here, short, and without imports; the rest is loaded by a first start.
"""

import os
import sys

SITE = "site-packages"
KEY = "key"
"""An entry of the archive: the hash of its lock."""
STARTS = "dpip-start"
"""A file of an installed tree: `module:function` (or only the module) that the lock names."""


def main(archive: str) -> int:
    """Start the packed program; returns an exit code only where it cannot."""
    key = __loader__.get_data(KEY).decode()  # type: ignore[name-defined]
    place = os.path.join(cache(), "packs", f"{key}-{_tag()}")
    try:
        starts = _starts(place)
        if starts is None:
            from . import pack_runtime

            here = pack_runtime.Here(place, os.path.join(cache(), "files"), machine(), STARTS)
            code = pack_runtime.prepare(archive, here)
            if code != 0:
                return code
            starts = _starts(place)
    except KeyboardInterrupt:
        return 130
    assert starts is not None, "a prepared place says what starts"
    return _go(starts, place, archive)


def machine() -> str:
    """Return the machine as `platform.machine()` does, without its import where that can be."""
    if hasattr(os, "uname"):
        return os.uname().machine
    import platform

    return platform.machine()


def cache() -> str:
    """Return the directory where installed trees and dpip's files lie."""
    named = os.environ.get("DPIP_CACHE_DIR")
    if named:
        return os.path.expanduser(named)
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches/dpip")
    if os.name == "nt":
        local = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~")
        return os.path.join(local, "dpip", "Cache")
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "dpip")


def _tag() -> str:
    return f"{sys.implementation.cache_tag}-{sys.platform}-{machine()}"


def _starts(place: str) -> "str | None":
    try:
        with open(os.path.join(place, STARTS), encoding="utf-8") as file:
            return file.read()
    except OSError:
        return None


def _go(starts: str, place: str, archive: str) -> int:
    import site

    packages = os.path.join(place, SITE)
    before = list(sys.path)
    site.addsitedir(packages)
    added = [path for path in sys.path if path not in before]
    # The archive itself goes: its modules are ours, not the program's.
    sys.path[:] = added + [path for path in before if path != archive]
    os.environ["PATH"] = os.pathsep.join([os.path.join(place, "bin"), os.environ.get("PATH", "")])
    module, _, function = starts.partition(":")
    if not function:
        import runpy

        runpy.run_module(module, run_name="__main__", alter_sys=True)
        return 0
    import importlib

    called = importlib.import_module(module)
    for part in function.split("."):
        called = getattr(called, part)
    sys.exit(called())  # type: ignore[operator]
