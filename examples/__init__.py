"""Runnable nodes: `python -m examples.basic_coordinator_node`, and so on."""
