"""The KOI-net protocol: models, paths, envelopes. Nothing here does I/O or reads a clock."""
