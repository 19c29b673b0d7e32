"""A node in a child process, led by its standard input: one JSON command a line, one answer.

Runs in the environments of other releases too, so it imports the standard library alone.
The end of the input is the order to stop: a child never outlives its test.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# What a library prints must not be taken for an answer.
_answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)


def options() -> dict[str, Any]:
    """Return what the test asked for: the JSON object given as the first argument."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    return given


def serve(ready: dict[str, Any], commands: Mapping[str, Callable[[dict[str, Any]], Any]]) -> None:
    """Say `ready`, then answer commands until the input ends."""
    _answers.write(json.dumps(ready) + "\n")
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = {"ok": commands[command["do"]](command)}
        except Exception as error:  # noqa: BLE001 - whatever is raised is the answer
            answer = {"error": f"{type(error).__name__}: {error}"}
        _answers.write(json.dumps(answer) + "\n")
