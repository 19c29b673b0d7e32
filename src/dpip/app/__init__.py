"""Building the real objects and running them: the node, its process, its upstream."""
