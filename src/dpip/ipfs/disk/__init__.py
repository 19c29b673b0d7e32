"""A blockstore in one directory: packs of compressed blocks, an index, whole archives."""
