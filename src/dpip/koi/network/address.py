"""Which URLs of peers a node calls. Decides; resolves and connects nothing.

`base_url` is chosen by whoever sends a profile, so calling it blindly lets strangers reach
into this node's own network. A node that listens on loopback only may call loopback and
private addresses; one that can be reached from outside calls neither, unless its operator
lists them. Link-local addresses, where clouds keep their credentials, are always refused
unless listed. What the operator named as first contact is always allowed.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from ..errors import ForbiddenAddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LONGEST_URL = 2000
_NAME = re.compile(r"[a-z0-9._-]+")
_EMBEDDING = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))
"""NAT64 (RFC 6052) and IPv4-compatible addresses: the last 32 bits are an IPv4 address."""


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Rules for one node. `local`: nobody outside this machine or network reaches it."""

    local: bool
    allowed: tuple[Network, ...] = ()
    named: frozenset[tuple[str, int]] = frozenset()

    @classmethod
    def for_node(
        cls, base_url: str | None, *, allowed: tuple[str, ...] = (), named: tuple[str, ...] = ()
    ) -> AddressPolicy:
        """Return the rules for a node with this base URL (None: it does not listen)."""
        networks = tuple(ipaddress.ip_network(text, strict=False) for text in allowed)
        endpoints = frozenset(endpoint(url) for url in named)
        return cls(base_url is None or _is_loopback(base_url), networks, endpoints)

    def naming(self, url: str) -> AddressPolicy:
        """Return these rules with one more endpoint that the operator named."""
        return replace(self, named=self.named | {endpoint(url)})

    def check_url(self, url: str) -> None:
        """Raise ForbiddenAddress if the URL's form, or a literal address in it, is refused."""
        host, port = endpoint(url)
        address = literal(host)
        if address is not None:
            self.check_address(address, host, port)

    def check_address(self, address: Address, host: str, port: int) -> None:
        """Raise ForbiddenAddress if `host` resolved to an address that is not called."""
        if (host, port) in self.named:
            return
        meant = behind(address)
        if any(one in network for one in (address, meant) for network in self.allowed):
            return
        if _is_never_called(meant):
            raise ForbiddenAddress(f"{host} is {address}, which is never called")
        if _is_inside(meant) and not self.local:
            raise ForbiddenAddress(f"{host} is {address}, inside this node's own network")


def endpoint(url: str) -> tuple[str, int]:
    """Return host and port of a peer's URL; raise ForbiddenAddress if it is not usable."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise ForbiddenAddress(f"not a URL: {url[:100]!r}") from None
    odd = parts.username or parts.password or parts.query or parts.fragment
    if parts.scheme not in {"http", "https"} or not parts.hostname or odd:
        raise ForbiddenAddress(f"not the base URL of a node: {url[:100]!r}")
    if len(url) > LONGEST_URL or any(character.isspace() for character in url):
        raise ForbiddenAddress("not the base URL of a node")
    # HTTP clients decode and normalise names in ways of their own, and then see an address.
    if literal(parts.hostname) is None and not _NAME.fullmatch(parts.hostname):
        raise ForbiddenAddress(f"not the name of a host: {parts.hostname[:100]!r}")
    return parts.hostname, port


def literal(host: str) -> Address | None:
    """Return the address that a host name spells out, if it does."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def behind(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address leads to, if it is one of that kind."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    teredo = address.teredo
    found = address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
    if found is None and any(address in network for network in _EMBEDDING):
        found = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return found if found is not None and int(address) > 1 else address


def _is_never_called(address: Address) -> bool:
    reserved = address.version == 4 and address.is_reserved
    return address.is_link_local or address.is_multicast or address.is_unspecified or reserved


def _is_inside(address: Address) -> bool:
    """Say whether an address is of this machine or network: whatever is not public."""
    site = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_loopback or address.is_private or site or not address.is_global


def _is_loopback(url: str) -> bool:
    try:
        host, _ = endpoint(url)
    except ForbiddenAddress:
        return False
    address = literal(host)
    return host == "localhost" or (address is not None and address.is_loopback)
