"""A mirror: an index joined to the bytes that it lists, kept so that a cut line loses nothing."""
