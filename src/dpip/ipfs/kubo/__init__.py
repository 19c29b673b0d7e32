"""Kubo, the IPFS daemon of reference, as an engine behind ours: its RPC, blocks, hand-over."""
