"""What the commands of the content store share: how they speak."""

from __future__ import annotations

import json
import sys
from typing import Any


def say(answer: Any, *lines: str, as_json: bool) -> None:
    """Write an answer to standard output: as JSON, or as lines for people."""
    text = json.dumps(answer) if as_json else "\n".join(lines)
    sys.stdout.write(text + "\n" if text else "")
