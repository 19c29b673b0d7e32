"""`POST /resolve/v1/closure` on a node: solve once here, so that the client asks but once.

The node runs the same solver on the pages and metadata that it serves, and sends every fact
that the solver looked at. A source archive that does not promise its metadata, on a node that
does not build, is taken to have no requirements; the client, which builds it, will see.
"""

from __future__ import annotations

import asyncio
import gzip
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from dpip.errors import DpipError
from dpip.resolve import closure, closure_answer
from dpip.resolve.node_facts import NodeFacts, Recorder
from dpip.resolve.recent import Recent
from dpip.resolve.resolution import NeedMore, Solution
from dpip.resolve.session import Session
from dpip.simple.asgi import BadRequest, MethodNotAllowed, send_error, send_whole
from dpip.simple.repository import FileNotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Set

    from dpip.resolve.request import Request
    from dpip.resolve.resolution import Outcome
    from dpip.resolve.sdist import Builder
    from dpip.simple.asgi import Receive, Scope, Send
    from dpip.simple.repository import FileSource, PageSource

ANSWERS_KEPT = 256


class ClosureApplication:
    """The ASGI application.

    `builder` reads the metadata of source archives, or there is none. `validator` tells a
    fresh page's validator where that is cheaper than the page. `max_age` is for how many
    seconds a client may reuse an answer unasked.
    """

    def __init__(
        self,
        *,
        pages: PageSource,
        files: FileSource,
        builder: Builder | None = None,
        validator: Callable[[str], Awaitable[str | None]] | None = None,
        max_age: float = 60.0,
    ) -> None:
        self._sources = NodeFacts(pages, files, builder, validator)
        self._max_age = max_age
        self._answers: Recent[bytes, Held] = Recent(ANSWERS_KEPT)
        self._packing: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            if scope["path"] != closure.PATH:
                raise FileNotFound(f"there is nothing at {scope['path'][:200]!r}")
            if scope["method"] != "POST":
                raise MethodNotAllowed("ask with POST")
            encoding, body = await self.answer(await _body(receive), _accepted(scope))
        except DpipError as error:
            await send_error(send, error)
            return
        headers = [
            (b"content-type", b"application/json"),
            (b"content-encoding", encoding.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
        ]
        await send_whole(send, 200, headers, body)

    async def answer(self, body: bytes, accepted: Set[str] = frozenset()) -> tuple[str, bytes]:
        """Return the answer to a question in JSON, and how it is packed. Raises BadRequest."""
        try:
            asked = closure.decode_question(body)
            wanted = closure.request(asked)
        except (msgspec.DecodeError, DpipError) as error:
            raise BadRequest(f"not a closure question: {error}") from None
        if not closure.can_ask(wanted):
            raise BadRequest("a closure question holds no URLs")
        key = blake2b(msgspec.json.encode(msgspec.structs.replace(asked, state=""))).digest()
        held = self._answers.get(key)
        if held is None or await self._sources.etags(held.etags) != held.etags:
            held = await self._solved(wanted)
            if held.lasting:
                self._answers.put(key, held)
        if asked.state == _state(held.etags):
            same = closure_answer.Answer(asked.state, self._max_age, same=True)
            return "gzip", gzip.compress(closure_answer.encode(same), 1)
        return self._packed(held, accepted)

    def _packed(self, held: Held, accepted: Set[str]) -> tuple[str, bytes]:
        """Return the smaller form where there is one: making it takes longer than answering."""
        if "xz" in accepted:
            if held.xz is not None:
                return "xz", held.xz
            task = asyncio.create_task(held.pack())
            self._packing.add(task)
            task.add_done_callback(self._packing.discard)
        return "gzip", held.gzip

    async def _solved(self, wanted: Request) -> Held:
        await self._run(wanted)
        # What was fetched ahead is at hand now: the second run looks at what it needs only.
        facts, outcome = await self._run(wanted)
        chosen = outcome.pins if isinstance(outcome, Solution) else ()
        answer = msgspec.structs.replace(
            facts.answer(wanted, chosen), state=_state(facts.etags), max_age=self._max_age
        )
        body = await asyncio.to_thread(gzip.compress, closure_answer.encode(answer), 6)
        return Held(facts.etags, body, lasting=not facts.failed)

    async def _run(self, wanted: Request) -> tuple[Recorder, Outcome]:
        facts = Recorder(self._sources)
        session = Session(wanted, facts)
        while isinstance(outcome := await asyncio.to_thread(session.run), NeedMore):
            facts.failed |= await self._sources.learn(outcome.wants)
        return facts, outcome


class Held:
    """An answer that may be given again while the pages that it stands on are as they were."""

    def __init__(self, etags: dict[str, str], packed: bytes, *, lasting: bool) -> None:
        self.etags = etags
        self.gzip = packed
        self.xz: bytes | None = None
        self.lasting = lasting
        """False: something could not be read that may be there a moment later."""

    async def pack(self) -> None:
        """Make the smaller form."""
        if self.xz is None:
            self.xz = await asyncio.to_thread(_to_xz, self.gzip)


def _to_xz(packed: bytes) -> bytes:
    import lzma

    # Text has no alignment: without position bits it is 1 % smaller.
    kind = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 2**22, "pb": 0}
    return lzma.compress(gzip.decompress(packed), check=lzma.CHECK_CRC32, filters=[kind])


def _accepted(scope: Scope) -> Set[str]:
    named = b",".join(v for k, v in scope["headers"] if k == b"accept-encoding").decode("latin-1")
    return frozenset(part.partition(";")[0].strip().lower() for part in named.split(","))


def _state(etags: dict[str, str]) -> str:
    return blake2b(repr(sorted(etags.items())).encode(), digest_size=16).hexdigest()


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > closure.MAX_QUESTION:
            raise BadRequest("the question is too large")
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)
