"""Mirrors that tell each other things: news over KOI-net, claims judged, bytes by hash."""
