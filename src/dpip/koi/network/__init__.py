"""The network as a node sees it, and what goes out to it."""
