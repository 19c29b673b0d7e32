"""Facts, gathered: the store is read through, the rest is fetched in rounds.

The solver's thread asks `Gathered` and gets what is in memory or in the store. What is not
comes back as wants; `gather` has all of them fetched at once and waits for those without
which the solver cannot go on. Prefetches go on in the background: a fact that arrives early
or late changes how long a run takes, never what comes out.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from dpip.errors import DpipError
from dpip.resolve.chain import PROJECT
from dpip.resolve.errors import CannotWrite
from dpip.resolve.names import normalize, version, wheel_name
from dpip.resolve.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from dpip.resolve.facts import CandidateFile, Dependencies, Direct, Project, Unavailable, Wants
    from dpip.resolve.onward import Onward


Result = TypeVar("Result")
TOGETHER = 0.002
"""Seconds in which answers count as one: looking again costs the solver about as much."""


class Pages(Protocol):
    """Where project pages come from."""

    def at_hand(self, name: str) -> Project | Unavailable | None:
        """Return what is known without asking anybody."""
        ...

    def project(self, name: str) -> Project | Unavailable:
        """Return the page, asking for it. May raise DpipError where no answer is an answer."""
        ...


class Records(Protocol):
    """Where dependency records come from."""

    def at_hand(self, file: CandidateFile) -> Dependencies | None:
        """Return what is known without asking anybody."""
        ...

    def read(self, file: CandidateFile) -> Dependencies | Unavailable:
        """Return the record, asking for it."""
        ...


class Directs(Protocol):
    """What direct requirements point at."""

    def read(self, url: str) -> Direct | Unavailable:
        """Return what is behind the URL."""
        ...


class Gathered:
    """The Facts of one run. Facts are read by one thread and added by many.

    `metadata` and `directs` return what is asked; they are called when it is first needed.
    """

    def __init__(
        self,
        pages: Pages,
        metadata: Callable[[], Records],
        directs: Callable[[], Directs],
        *,
        workers: Workers | None = None,
        progress: Callable[[int, int], Any] = lambda _asked, _answered: None,
    ) -> None:
        self._pages = pages
        self._metadata = metadata
        self._directs = directs
        self._workers = workers or Workers()
        self._progress = progress
        self._facts: dict[Hashable, Any] = {}
        self._failed: dict[Hashable, DpipError] = {}
        self._under_way: set[Hashable] = set()
        self._not_at_hand: set[Hashable] = set()
        self._arrived = threading.Condition()

    def close(self) -> None:
        """Stop fetching."""
        self._workers.close()

    def project(self, name: str) -> Project | Unavailable | None:
        """Return the page of a normalized project name, if it is at hand."""
        found: Project | Unavailable | None = self._known(
            ("page", name), lambda: self._pages.at_hand(name)
        )
        return found

    def dependencies(self, file: CandidateFile) -> Dependencies | Unavailable | None:
        """Return what the metadata of a listed file says, if it is at hand."""
        found: Dependencies | Unavailable | None = self._known(
            ("file", file.url), lambda: self._metadata().at_hand(file)
        )
        return found

    def direct(self, url: str) -> Direct | Unavailable | None:
        """Return what a direct requirement's URL holds, if it was read."""
        found: Direct | Unavailable | None = self._known(("direct", url), lambda: None)
        return found

    def expect(self, names: Iterable[str]) -> None:
        """Begin to fetch pages that will be wanted."""
        for name in names:
            if self.project(name) is None:
                self._ask_page(name)

    def records(self) -> list[Dependencies]:
        """Return the dependency records that are at hand, newest versions first."""
        from dpip.resolve.facts import Dependencies

        with self._arrived:
            found = [each for each in self._facts.values() if isinstance(each, Dependencies)]
        return sorted(found, key=lambda each: version(each.version), reverse=True)

    def gather(self, wants: Wants) -> None:
        """Fetch what is wanted; return when something of it, `wants.ahead` aside, is there.

        The solver then looks again: it may see further, and what it sees next goes out while
        the rest of this round is still under way. Raises the error of the first want, in
        their order, that no source can answer.
        """
        needed = [self._ask_direct(url) for url in wants.direct]
        needed += [self._ask_page(name, wants.onward) for name in wants.projects]
        needed += [self._ask_file(file, wants.onward) for file in wants.metadata]
        for file in wants.ahead:
            self._ask_file(file)
        self._wait_for_some(needed)

    def all_of(self, calls: Iterable[Callable[[], Result]]) -> list[Result]:
        """Make calls at once and return their results in order; raises the first error."""
        keys = [self._ask(("call", number), call) for number, call in enumerate(calls)]
        self._wait(keys)
        return [self._facts.pop(key) for key in keys]

    def _ask_page(self, name: str, onward: Onward | None = None) -> Hashable:
        def then(_page: Any) -> None:
            file = onward.file(name) if onward else None
            if file is not None:
                self._ask_file(file, onward)

        return self._ask(("page", name), lambda: self._pages.project(name), name, then)

    def _ask_file(self, file: CandidateFile, onward: Onward | None = None) -> Hashable:
        def then(record: Any) -> None:
            for name in onward.names(record) if onward else ():
                self._ask_page(name, onward)

        read = partial(self._metadata().read, file)
        return self._ask(("file", file.url), read, _project_of(file.filename), then)

    def _ask_direct(self, url: str) -> Hashable:
        return self._ask(("direct", url), partial(self._directs().read, url))

    def _known(self, key: Hashable, at_hand: Callable[[], Any]) -> Any:
        found = self._facts.get(key)
        if found is None and key not in self._not_at_hand:
            # Once is enough: what comes in later is put among the facts.
            self._not_at_hand.add(key)
            found = at_hand()
            if found is not None:
                with self._arrived:
                    found = self._facts.setdefault(key, found)
        return found

    def _ask(
        self,
        key: Hashable,
        read: Callable[[], Any],
        project: str = "",
        then: Callable[[Any], None] = lambda _found: None,
    ) -> Hashable:
        """Have something read; `then` is told what it was, by the thread that read it."""
        with self._arrived:
            if key in self._facts or key in self._under_way:
                return key
            self._under_way.add(key)
        self._workers.submit(lambda: self._answer(key, read, project, then))
        return key

    def _answer(
        self,
        key: Hashable,
        read: Callable[[], Any],
        project: str,
        then: Callable[[Any], None],
    ) -> None:
        try:
            found = read()
        except DpipError as error:
            if project:
                error.context[PROJECT] = project
            self._put(key, None, error)
        except OSError as error:
            self._put(key, None, CannotWrite.because(error))
        except BaseException as error:  # noqa: BLE001 - a thread must hand on whatever it met
            self._put(key, None, _Crashed(error))
        else:
            self._put(key, found, None)
            # What is wrong with an answer is told where the solver comes to it.
            with suppress(DpipError):
                then(found)

    def _put(self, key: Hashable, found: Any, error: DpipError | None) -> None:
        with self._arrived:
            self._under_way.discard(key)
            if error is None:
                self._facts.setdefault(key, found)
            else:
                self._failed[key] = error
            self._arrived.notify_all()

    def _wait_for_some(self, needed: Sequence[Hashable]) -> None:
        """Wait for one of `needed`, and then for as long as more keeps coming at once."""
        with self._arrived:
            lacking = self._count(needed)
            while lacking and lacking == self._count(needed):
                self._arrived.wait()
            self._arrived.wait_for(lambda: not self._count(needed), timeout=TOGETHER)
            for key in needed:
                if key in self._failed:
                    raise self._failed[key]
            self._progress(len(self._facts) + len(self._under_way), len(self._facts))

    def _count(self, keys: Iterable[Hashable]) -> int:
        return sum(key in self._under_way for key in keys)

    def _wait(self, needed: Iterable[Hashable]) -> None:
        with self._arrived:
            for key in needed:
                while key in self._under_way:
                    self._arrived.wait()
                if key in self._failed:
                    raise self._failed[key]
            self._progress(len(self._facts) + len(self._under_way), len(self._facts))


def _project_of(filename: str) -> str:
    wheel = wheel_name(filename)
    return wheel.name if wheel else normalize(filename.rpartition("-")[0])


def in_parallel(calls: Iterable[Callable[[], Result]], limit: int) -> list[Result]:
    """Make calls in up to `limit` threads; return results in order, or raise the first error.

    The first is the first in the order of the calls; all calls have ended by then.
    """
    workers = Workers(limit)
    results: dict[int, Result] = {}
    errors: dict[int, BaseException] = {}
    ended = threading.Semaphore(0)

    def make(number: int, call: Callable[[], Result]) -> None:
        try:
            results[number] = call()
        except BaseException as error:  # noqa: BLE001 - handed on to the caller below
            errors[number] = error
        ended.release()

    count = 0
    for number, call in enumerate(calls):
        workers.submit(partial(make, number, call))
        count += 1
    for _ in range(count):
        ended.acquire()
    workers.close()
    if errors:
        raise errors[min(errors)]
    return [results[number] for number in range(count)]


class _Crashed(DpipError):
    """A defect of ours in a worker thread, carried to the thread that waits."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.__cause__ = error
