"""The knowledge processing pipeline: objects, handlers, phases, and what drives them."""

from __future__ import annotations

from .interface import ProcessorInterface

__all__ = ["ProcessorInterface"]
