"""dpip: pip over a network of peers."""

__version__ = "0.1.0"
