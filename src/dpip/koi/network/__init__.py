"""The network as a node sees it, and what goes out to it."""

from __future__ import annotations

from .interface import NetworkInterface

__all__ = ["NetworkInterface"]
