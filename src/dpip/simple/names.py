"""Names of projects. Apart from the model, so that a resolve need not load that."""

from __future__ import annotations

import re

_SEPARATORS = re.compile(r"[-_.]+")


def normalize(name: str) -> str:
    """Return the normalized form of a project name (PEP 503)."""
    return _SEPARATORS.sub("-", name).lower()
