"""`python -m dpip.app.tend HOME HOT_SIZE`: one round of looking after the content store.

A process of its own, at the lowest priority: taking archives apart keeps every core busy for
seconds, and the node must go on answering. It may be killed at any instant (see
`ipfs/disk/store.py`); what it did not do, the next round does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

from dpip.errors import DpipError


def main(home: Path, hot_size: int) -> int:
    """Tend the store of a home; print what was done as JSON; return the exit code."""
    import json
    from dataclasses import asdict

    from dpip.mirror.store import opened, tend

    with contextlib.suppress(OSError, AttributeError):
        os.nice(19)
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopping.append(number))
    try:
        with opened(home) as archives:
            done = tend(archives, hot_size, stop=lambda: bool(stopping))
    except DpipError as error:
        sys.stdout.write(json.dumps(error.as_dict()) + "\n")
        return error.exit_code
    sys.stdout.write(json.dumps(asdict(done)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
