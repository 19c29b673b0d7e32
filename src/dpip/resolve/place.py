"""Where what is remembered lies, and how it is put there.

On the path of every warm run: it imports next to nothing.
"""

import os
import sys

SCHEMA = 2
FILE_NAME = f"resolve-{SCHEMA}.sqlite"


def default_directory() -> str:
    """Return where the store lies without --cache-dir: `DPIP_CACHE_DIR`, else the platform's."""
    named = os.environ.get("DPIP_CACHE_DIR")
    if named:
        return os.path.expanduser(named)
    if os.name == "posix" and sys.platform not in {"darwin", "ios"}:
        # What platformdirs says, without its import.
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return os.path.join(os.path.expanduser(base), "dpip")
    import platformdirs

    return platformdirs.user_cache_dir("dpip", appauthor=False)


def state(path: str) -> str:
    """Return what changes when a file is written anew; empty where there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return ""
    return f"{found.st_mtime_ns} {found.st_size} {found.st_ino}"


def replace(path: str, body: bytes) -> None:
    """Put the whole of it there, or leave what was there alone."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(body)
        os.replace(temporary, path)
    except OSError:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
