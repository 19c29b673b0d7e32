"""The five paths of the protocol, below the prefix that a node's base URL ends with."""

from __future__ import annotations

PREFIX = "/koi-net"
BROADCAST_EVENTS_PATH = "/events/broadcast"
POLL_EVENTS_PATH = "/events/poll"
FETCH_RIDS_PATH = "/rids/fetch"
FETCH_MANIFESTS_PATH = "/manifests/fetch"
FETCH_BUNDLES_PATH = "/bundles/fetch"
