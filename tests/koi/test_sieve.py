"""The sieve never denies what it holds, and seldom claims what it does not."""

from __future__ import annotations

from hashlib import sha256

from dpip.koi.sieve import Sieve


def token(number: int) -> bytes:
    return sha256(b"%d" % number).digest()[:16]


def test_what_was_added_is_held_and_little_else() -> None:
    sieve = Sieve()
    for number in range(20_000):
        sieve.add(token(number))
    assert all(sieve.may_hold(token(number)) for number in range(20_000))
    assert sum(sieve.may_hold(token(number)) for number in range(20_000, 40_000)) < 20
