from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpip.federation.savings import Savings, Totals, decode, encode
from dpip.federation.standing import Standing
from dpip.mirror.hedge import Gift


def test_each_byte_is_counted_once() -> None:
    savings = Savings(Totals(files=2, size=500))
    savings.settle(Gift(1000, "recipe"), came=40, beside=0)
    savings.settle(Gift(300, "whole"), came=300, beside=0)
    savings.settle(Gift(100, "leaves"), came=90, beside=50)
    savings.settle(None, came=70, beside=0)
    savings.refuse()
    now = savings.since_start
    assert (now.files, now.size, now.moved, now.beside) == (3, 1400, 430, 50)
    assert (now.recipe_files, now.recipe_size, now.recipe_moved) == (1, 1000, 40)
    assert (now.wasted, now.refused, now.saved) == (70, 1, 920)
    assert (savings.total.files, savings.total.size) == (5, 1900)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, 2**60), min_size=9, max_size=9))
def test_totals_come_back(numbers: list[int]) -> None:
    totals = Totals(*numbers)
    assert decode(encode(totals)) == totals


@pytest.mark.parametrize("text", ["", "no", "[1]", '{"files": "many", "later": 3}'])
def test_what_cannot_be_read_counts_as_nothing(text: str) -> None:
    assert decode(text) == Totals()


def test_one_that_did_wrong_is_last_and_then_forgiven() -> None:
    standing = Standing()
    standing.blame("b", now=10.0, seconds=60.0)
    standing.blame("b", now=11.0, seconds=5.0)
    assert standing.sound(["a", "b", "c"], now=12.0) == ["a", "c"]
    assert standing.all(["b", "a", "c"], now=12.0) == ["a", "c", "b"]
    assert standing.sound(["a", "b", "c"], now=70.0) == ["a", "b", "c"]
