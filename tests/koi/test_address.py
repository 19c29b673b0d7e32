"""Which addresses a node calls: by the rules alone, without a network."""

from __future__ import annotations

import ipaddress

import pytest

from dpip.koi.errors import ForbiddenAddress
from dpip.koi.network.address import AddressPolicy, literal

OUTSIDE = AddressPolicy.for_node("https://node.example/koi-net")
INSIDE = AddressPolicy.for_node("http://127.0.0.1:8000/koi-net")
PARTIAL = AddressPolicy.for_node(None)

LOOPBACK = ["127.0.0.1", "127.255.0.9", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"]
PRIVATE = [
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "[fc00::1]",
    "[fd12:3456::1]",
    "[fec0::1]",
    "[::ffff:10.0.0.1]",
    "[2002:0a00:0001::1]",
    "[2002:7f00:0001::1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::192.168.1.1]",
    "[::127.0.0.1]",
    "[::10.0.0.1]",
]
NEVER = [
    "169.254.169.254",
    "[fe80::1]",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::169.254.169.254]",
    "[2002:a9fe:a9fe::]",
    "0.0.0.0",
    "[::]",
    "224.0.0.1",
    "[ff02::1]",
    "255.255.255.255",
    "240.0.0.1",
]
PUBLIC = [
    "8.8.8.8",
    "[2606:4700::1111]",
    "node.example",
    "xn--bcher-kva.example",
    "[64:ff9b::808:808]",
]
NOT_NAMES = [
    "127\u30020\u30020\u30021",
    "\uff11\uff12\uff17.0.0.1",
    "127%2e0%2e0%2e1",
    "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3",
    "a b",
    "a\\b",
    "[fe80::1%25eth0",
    "a,b",
]


def refused(policy: AddressPolicy, host: str) -> bool:
    try:
        policy.check_url(f"http://{host}:8000/koi-net")
    except ForbiddenAddress:
        return True
    return False


@pytest.mark.parametrize("host", [*LOOPBACK, *PRIVATE, *NEVER])
def test_a_node_that_can_be_reached_calls_nothing_of_its_own_network(host: str) -> None:
    assert refused(OUTSIDE, host)


@pytest.mark.parametrize("host", [*LOOPBACK, *PRIVATE])
def test_a_node_on_loopback_may_call_its_own_network(host: str) -> None:
    assert not refused(INSIDE, host)
    assert not refused(PARTIAL, host)


@pytest.mark.parametrize("host", NEVER)
def test_some_addresses_are_called_by_nobody(host: str) -> None:
    assert refused(INSIDE, host)
    assert refused(PARTIAL, host)


@pytest.mark.parametrize("host", PUBLIC)
def test_the_rest_may_be_called(host: str) -> None:
    assert not refused(OUTSIDE, host)
    assert not refused(INSIDE, host)


@pytest.mark.parametrize("host", NOT_NAMES)
def test_what_could_be_read_as_an_address_later_is_no_name(host: str) -> None:
    assert refused(OUTSIDE, host)
    assert refused(INSIDE, host)


def test_what_is_configured_may_be_called() -> None:
    allowing = AddressPolicy.for_node("https://node.example", allowed=("10.0.0.0/8", "fe80::/10"))
    assert not refused(allowing, "10.1.2.3")
    assert not refused(allowing, "[::ffff:10.1.2.3]")
    assert not refused(allowing, "[fe80::1]")
    assert refused(allowing, "192.168.0.1")
    assert refused(allowing, "127.0.0.1")


def test_what_is_named_may_be_called_at_that_port_only() -> None:
    naming = OUTSIDE.naming("http://10.0.0.1:8000/koi-net")
    assert not refused(naming, "10.0.0.1")
    with pytest.raises(ForbiddenAddress):
        naming.check_url("http://10.0.0.1:22/koi-net")


def test_names_are_judged_by_what_they_resolve_to() -> None:
    for text in ("127.0.0.1", "169.254.1.1", "::1", "10.0.0.1"):
        with pytest.raises(ForbiddenAddress, match=r"lure\.example"):
            OUTSIDE.check_address(ipaddress.ip_address(text), "lure.example", 80)
    OUTSIDE.check_address(ipaddress.ip_address("8.8.8.8"), "peer.example", 80)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost."])
def test_other_spellings_of_addresses_are_names_and_so_are_resolved(host: str) -> None:
    assert literal(host) is None
