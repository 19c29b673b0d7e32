"""Run a node in this process, from lock to graceful stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import logging.handlers
import signal
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dpip.app import process
from dpip.errors import DpipError, HomeNotWritable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dpip.app.dispatch import Application
    from dpip.settings import Settings

log = logging.getLogger(__name__)
LOG_NAME = "node.log"
LOG_SIZE = 4 * 2**20
LOG_KEPT = 3


def run(settings: Settings) -> int:
    """Run the node of a home until SIGTERM or SIGINT; return the exit code.

    Prints one line, `ready URL`, on standard output when it answers. Raises AlreadyRunning,
    PortTaken, HomeNotWritable, DiskFull.
    """
    with process.only_one(settings.home), _logging_to(settings.home / LOG_NAME):
        _run_loop(settings)
    return 0


def _run_loop(settings: Settings) -> None:
    loop_factory = None
    with contextlib.suppress(ImportError):
        import uvloop

        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    from dpip.app.compose import build
    from dpip.app.http import serve

    node = build(settings)
    stop = asyncio.Event()
    with contextlib.ExitStack() as until_stopped:
        background: list[asyncio.Task[None]] = []

        def ready(url: str) -> None:
            node.listens(urlsplit(url).port or settings.port)
            until_stopped.enter_context(process.recorded(settings.home, url))
            log.info("ready at %s", url)
            sys.stdout.write(f"ready {url}\n")
            sys.stdout.flush()
            background.append(asyncio.create_task(node.background(url)))
            if settings.tls_certificate:
                background.append(asyncio.create_task(_serve_tls(node.application, settings, stop)))

        _stop_on_signals(stop)
        try:
            await serve(
                node.application, host=settings.host, port=settings.port, ready=ready, stop=stop
            )
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await node.aclose()
            log.info("stopped")


async def _serve_tls(application: Application, settings: Settings, stop: asyncio.Event) -> None:
    from dpip.app import tls

    try:
        await tls.serve(application, settings, stop)
    except (DpipError, OSError) as error:
        log.error("no HTTPS: %s", error)  # noqa: TRY400 - the message says it all


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Send the process's log to a file that is rotated by size, and nowhere else."""
    try:
        handler = logging.handlers.RotatingFileHandler(
            path, maxBytes=LOG_SIZE, backupCount=LOG_KEPT, encoding="utf-8", delay=False
        )
    except OSError as error:
        raise HomeNotWritable(f"cannot write {path}: {error.strerror}") from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers, raising = [handler], logging.raiseExceptions
    # A full disk must not turn each log line into a traceback on standard error.
    logging.raiseExceptions = False
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers = before
        root.setLevel(level)
        logging.raiseExceptions = raising
        handler.close()
