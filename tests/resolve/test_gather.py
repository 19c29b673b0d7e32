from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simple.fixture_index import FixtureIndex, wheel

from dpip.resolve import lockfile
from dpip.resolve.engine import Engine, Places
from dpip.resolve.environment import here
from dpip.resolve.errors import Unreachable
from dpip.resolve.gather import in_parallel
from dpip.resolve.request import Given
from dpip.resolve.request import Request as Question
from dpip.resolve.requirement import parse
from dpip.resolve.resolution import Solution
from dpip.resolve.store import Store
from dpip.resolve.transport import Request, Response, Transport
from dpip.resolve.workers import Workers


class Jittery:
    """A transport whose answers come in another order each time."""

    def __init__(self, inner: Transport, seed: int) -> None:
        self._inner = inner
        self._random = random.Random(seed)

    def send(self, request: Request) -> Response:
        time.sleep(self._random.random() * 0.01)
        return self._inner.send(request)

    def close(self) -> None:
        self._inner.close()


def test_any_order_of_answers_gives_the_same_bytes(tmp_path: Path) -> None:
    with FixtureIndex() as index:
        index.add("root", wheel("root", "1.0", requires=["a", "b", "c", "d"]))
        for name, other in (("a", "b"), ("b", "c"), ("c", "d"), ("d", "e")):
            for n in range(1, 6):
                requires = [f"{other}<{n + 1}", "shared"]
                index.add(name, wheel(name, f"{n}.0", requires=requires))
        index.add("e", wheel("e", "2.0"))
        index.add("shared", wheel("shared", "1.0"))
        texts = {solve(index, tmp_path / str(seed), seed) for seed in range(6)}
    assert len(texts) == 1
    assert "root==1.0" in texts.pop()


def solve(index: FixtureIndex, directory: Path, seed: int) -> str:
    engine = Engine(Places((index.url,)), Store(None), directory, time.time())
    for part in (engine, engine.indexes):
        name = "transport" if part is engine else "_transport"
        setattr(part, name, Jittery(getattr(part, name), seed))
    outcome = engine.solve(Question((Given(parse("root")),), here()))
    engine.close()
    assert isinstance(outcome, Solution)
    return lockfile.requirements(outcome)


def test_an_index_that_fails_ends_the_run(tmp_path: Path) -> None:
    engine = Engine(Places(("http://127.0.0.1:9/simple/",)), Store(None), tmp_path, time.time())
    with pytest.raises(Unreachable):
        engine.solve(Question((Given(parse("root")),), here()))
    engine.close()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.booleans(), max_size=8), st.integers(1, 4))
def test_results_come_in_order_and_the_first_error_wins(fail: list[bool], limit: int) -> None:
    def call(number: int) -> int:
        if fail[number]:
            raise ValueError(number)
        return number

    calls = [lambda number=number: call(number) for number in range(len(fail))]
    if any(fail):
        with pytest.raises(ValueError, match=str(fail.index(True))):
            in_parallel(calls, limit)
    else:
        assert in_parallel(calls, limit) == list(range(len(fail)))


def test_workers_do_every_job_with_few_threads() -> None:
    done: list[int] = []
    workers = Workers(3)
    for number in range(200):
        workers.submit(lambda number=number: done.append(number))  # type: ignore[misc]
    deadline = time.monotonic() + 20
    while len(done) < 200 and time.monotonic() < deadline:
        time.sleep(0.01)
    workers.close()
    assert sorted(done) == list(range(200))
