"""What proposes a subscription, under the module name that it has in the original package."""

from __future__ import annotations

from .edge import generate_edge_bundle

__all__ = ["generate_edge_bundle"]
