"""`NodeInterface` under the module name that it has in the original package."""

from __future__ import annotations

from .node import NodeInterface

__all__ = ["NodeInterface"]
