from __future__ import annotations

from dpip.resolve.recent import Recent


def test_what_was_not_used_for_long_goes_first() -> None:
    kept: Recent[str, int] = Recent(2)
    kept.put("a", 1)
    kept.put("b", 2)
    assert kept.get("a") == 1
    kept.put("c", 3)
    assert [kept.get(key) for key in "abc"] == [1, None, 3]


def test_heavy_values_leave_room_for_few() -> None:
    kept: Recent[str, int] = Recent(10)
    kept.put("a", 1, 4)
    kept.put("b", 2, 4)
    kept.put("a", 1, 1)
    kept.put("c", 3, 5)
    assert [kept.get(key) for key in "abc"] == [1, 2, 3]
    kept.put("d", 4, 50)
    assert [kept.get(key) for key in "abcd"] == [None, None, None, 4], "itself it may keep"
    kept.put("e", 5, 1)
    assert [kept.get(key) for key in "de"] == [None, 5]
