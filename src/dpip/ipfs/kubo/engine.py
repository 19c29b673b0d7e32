"""Kubo as the distributed engine: what our node imports, the daemon gets too.

The node stores first, answers its users, and leaves a job behind; this engine does the jobs
one after another in a thread of its own. So a slow, dead or restarting daemon is never in
anybody's way, and nothing is lost: see `jobs.py`. DAGs go over as CAR files, so every CID
stays what it is; heads of indexes are mounted in MFS (`/dpip/<index>`), pinned by moving
the old pin, and spread as records that *we* signed, so the key never leaves us.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..cid import CID
from ..errors import IpfsError, NotFound, Unavailable
from .http import Refused

if TYPE_CHECKING:
    from .jobs import Job, Jobs
    from .rpc import Kubo

MFS_ROOT = "/dpip"
LOOK = 1.0
"""Seconds between two looks for work."""
CarOf = Callable[[CID, CID | None], Iterable[bytes]]
"""`car_of(root, held)` returns the chunks of a CAR with the DAG below `root`, less what is
also below `held`, which the daemon has; it raises NotFound if blocks are missing."""


@dataclass(frozen=True, slots=True)
class Status:
    """What waits for the daemon, and why: for `dpip node status`."""

    waiting: int
    oldest_problem: str | None


class Engine:
    """Hands work over to one Kubo daemon. `start` and `stop` its thread, or call `step`."""

    def __init__(
        self,
        kubo: Kubo,
        jobs: Jobs,
        car_of: CarOf,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._kubo = kubo
        self._jobs = jobs
        self._car_of = car_of
        self._clock = clock
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._perform: dict[str, Callable[[Job], None]] = {
            "import": self._import,
            "drop": self._drop,
            "mount": self._mount,
            "record": self._record,
        }

    # Leaving work behind: durable when these return

    def hand_over(self, root: CID) -> None:
        """Have the daemon import and pin the DAG below `root`."""
        self._put("import", str(root))

    def drop(self, root: CID) -> None:
        """Have the daemon unpin a DAG; its garbage collection does the rest."""
        self._put("drop", str(root))

    def mount(self, index: str, head: CID) -> None:
        """Have an index's head imported, pinned and mounted at `/dpip/<index>`."""
        self._put("mount", index, str(head).encode())

    def spread(self, name: str, record: bytes) -> None:
        """Have the daemon spread a signed IPNS record."""
        self._put("record", name, record)

    def status(self) -> Status:
        """Return what is waiting."""
        jobs = self._jobs.waiting()
        problems = [job.problem for job in jobs if job.problem]
        return Status(len(jobs), problems[0] if problems else None)

    # Doing it

    def step(self) -> bool:
        """Do one job that is due; say whether there was one."""
        job = self._jobs.next(self._clock())
        if job is None:
            return False
        try:
            self._perform[job.kind](job)
        except NotFound as error:
            self._give_up_or_wait(job, error)
        except IpfsError as error:
            self._jobs.failed(job, str(error), self._clock())
        else:
            self._jobs.done(job)
        return True

    def start(self) -> None:
        """Start the thread; jobs that an earlier run left are tried at once."""
        self._jobs.retry()
        self._thread = threading.Thread(target=self._run, name="kubo-engine", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the job at hand; the rest stays on disk."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            if self.step():
                continue
            # Other processes leave jobs too, and cannot wake this thread.
            self._wake.wait(LOOK)
            self._wake.clear()

    def _put(self, kind: str, subject: str, body: bytes = b"") -> None:
        self._jobs.put(kind, subject, body)
        self._wake.set()

    def _give_up_or_wait(self, job: Job, error: IpfsError) -> None:
        """Wait for blocks that may still come; a DAG that we dropped needs no import."""
        if job.kind == "drop":
            self._jobs.done(job)
        else:
            self._jobs.failed(job, str(error), self._clock())

    def _import(self, job: Job) -> None:
        root = CID.parse(job.subject)
        self._kubo.dag_import(lambda: self._car_of(root, None))
        if not self._kubo.is_pinned(root):
            raise Unavailable(f"the daemon did not pin {root}")

    def _drop(self, job: Job) -> None:
        self._kubo.pin_rm(CID.parse(job.subject))

    def _mount(self, job: Job) -> None:
        head, path = CID.parse(job.body.decode()), f"{MFS_ROOT}/{job.subject}"
        before = self._mounted(path)
        self._import_beside(head, before)
        self._kubo.files_mkdir(MFS_ROOT)
        self._kubo.files_replace(head, path)
        self._kubo.files_flush(path)
        if before is not None and before != head:
            try:
                self._kubo.pin_rm(before)
            except NotFound:
                return

    def _import_beside(self, head: CID, held: CID | None) -> None:
        """Send only what changed; all of it if the daemon turns out to lack the rest."""
        if held is not None:
            try:
                self._kubo.dag_import(lambda: self._car_of(head, held))
            except (NotFound, Refused):
                held = None
        if held is None:
            self._kubo.dag_import(lambda: self._car_of(head, None))

    def _mounted(self, path: str) -> CID | None:
        try:
            return self._kubo.files_stat(path).cid
        except NotFound:
            return None

    def _record(self, job: Job) -> None:
        self._kubo.name_put(job.subject, job.body)
