"""Where the facts store lies. On the path of every warm run: it imports next to nothing."""

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
