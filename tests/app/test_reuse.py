from __future__ import annotations

from dpip.app.reuse import LARGEST_BODY, LONGEST_REQUEST, Answers, Reusable


def answer(size: int = 10, *, valid: bool = True) -> Reusable:
    return Reusable(lambda: valid, b"HTTP/1.1 200 OK\r\n", b"\r\n", b"x" * size)


def test_only_equal_requests_find_it() -> None:
    answers, kept = Answers(), answer()
    answers.keep(b"GET /a", kept)
    assert answers.find(b"GET /a") is kept
    assert answers.find(b"GET /A") is None


def test_an_answer_that_no_longer_holds_is_gone() -> None:
    answers = Answers()
    answers.keep(b"GET /a", answer(valid=False))
    assert answers.find(b"GET /a") is None
    answers.keep(b"GET /a", answer())
    assert answers.find(b"GET /a") is not None


def test_the_oldest_leaves_when_room_runs_out() -> None:
    answers = Answers(room=1000)
    for number in range(10):
        answers.keep(b"%d" % number, answer(200))
    assert [n for n in range(10) if answers.find(b"%d" % n)] == [6, 7, 8, 9]


def test_keeping_again_does_not_count_twice() -> None:
    answers = Answers(room=1000)
    for _ in range(10):
        answers.keep(b"a", answer(600))
    assert answers.find(b"a") is not None


def test_what_is_too_large_is_not_kept() -> None:
    answers = Answers()
    answers.keep(b"a" * (LONGEST_REQUEST + 1), answer())
    answers.keep(b"b", answer(LARGEST_BODY + 1))
    assert answers.find(b"a" * (LONGEST_REQUEST + 1)) is None
    assert answers.find(b"b") is None
