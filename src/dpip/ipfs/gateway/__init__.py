"""Gateways: blocks, CARs, files and IPNS records over plain HTTP, served and fetched."""
