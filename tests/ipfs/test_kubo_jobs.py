from __future__ import annotations

from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dpip.ipfs.kubo.jobs import LONGEST_PAUSE, Jobs, pause


def test_jobs_survive_a_restart_in_order(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path / "jobs")
    jobs.put("import", "a")
    jobs.put("import", "b")
    jobs.close()
    again = Jobs(tmp_path / "jobs")
    first = again.next(0)
    assert first is not None
    assert first.subject == "a"
    again.done(first)
    assert [job.subject for job in again.waiting()] == ["b"]
    again.close()


def test_only_the_newest_of_a_subject_is_done(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path / "jobs")
    jobs.put("mount", "index", b"old")
    at_work = jobs.next(0)
    jobs.put("mount", "index", b"new")
    assert at_work is not None
    jobs.done(at_work)
    assert [job.body for job in jobs.waiting()] == [b"new"]
    jobs.close()


def test_one_that_failed_lets_the_others_pass(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path / "jobs")
    jobs.put("import", "bad")
    jobs.put("import", "good")
    bad = jobs.next(100)
    assert bad is not None
    jobs.failed(bad, "no", 100)
    passed = jobs.next(100)
    assert passed is not None
    assert passed.subject == "good"
    jobs.done(passed)
    assert jobs.next(100) is None
    assert jobs.next(101) is not None
    jobs.retry()
    assert jobs.next(0) is not None
    jobs.close()


def test_pauses_double_and_end() -> None:
    assert [pause(n) for n in (1, 2, 3)] == [1, 2, 4]
    assert pause(1000) == LONGEST_PAUSE


class Queue(RuleBasedStateMachine):
    """Whatever is put, fails and ends: exactly the unfinished subjects are waiting."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.jobs = Jobs(Path(self.folder.name) / "jobs")
        self.expected: dict[str, bytes] = {}
        self.now = 0.0

    @rule(subject=st.sampled_from("abc"), body=st.binary(max_size=2))
    def put(self, subject: str, body: bytes) -> None:
        self.jobs.put("k", subject, body)
        self.expected[subject] = body

    @rule(fails=st.booleans())
    def work(self, fails: bool) -> None:
        job = self.jobs.next(self.now)
        if job is None:
            return
        if fails:
            self.jobs.failed(job, "why", self.now)
        else:
            self.jobs.done(job)
            del self.expected[job.subject]

    @rule(seconds=st.floats(0, 1000))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def restart(self) -> None:
        self.jobs.close()
        self.jobs = Jobs(Path(self.folder.name) / "jobs")

    @invariant()
    def nothing_is_lost(self) -> None:
        assert {job.subject: job.body for job in self.jobs.waiting()} == self.expected

    def teardown(self) -> None:
        self.jobs.close()
        self.folder.cleanup()


TestQueue = Queue.TestCase
TestQueue.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
