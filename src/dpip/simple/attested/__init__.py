"""Checking attestations (PEP 740, sigstore bundles) offline: no network, no clock, no state."""
