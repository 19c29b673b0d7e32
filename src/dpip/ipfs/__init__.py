"""IPFS content for Python: CIDs, UnixFS, CAR, IPNS, gateways. Stands alone.

Read `blockstore.py` first: everything else puts blocks into one or takes them out.
"""
