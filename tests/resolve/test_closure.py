from __future__ import annotations

import asyncio
import gzip
import json
import lzma
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
from tests.app.nodes import NodeProcess, node
from tests.simple.fixture_index import FixtureIndex, sdist, wheel

from dpip.resolve import answering, closure, closure_answer, closure_client, closure_facts
from dpip.resolve.closure_answer import Answer as Sent
from dpip.resolve.closure_server import ClosureApplication
from dpip.resolve.connections import open_transport
from dpip.resolve.engine import Engine, Places
from dpip.resolve.environment import here
from dpip.resolve.errors import BadAnswer, HttpFailure
from dpip.resolve.request import Given, Releases, Request
from dpip.resolve.requirement import parse
from dpip.resolve.resolution import Impossible, Solution
from dpip.resolve.store import Answer, Store
from dpip.simple.asgi import BadRequest
from dpip.simple.json_codec import decode_project
from dpip.simple.model import ProjectEntry
from dpip.simple.render import render
from dpip.simple.repository import FileNotFound, ProjectNotFound, StoredPage, WholeFile


class InMemoryNode:
    """A PageSource and FileSource over a fixture index, without a network."""

    def __init__(self, index: FixtureIndex) -> None:
        self.index = index

    def cached(self, name: str) -> StoredPage | None:
        return None

    async def page(self, name: str) -> StoredPage:
        if name not in self.index.projects:
            raise ProjectNotFound(name)
        return render(decode_project(self.index.page(name)[1]))

    def projects(self) -> AsyncIterator[ProjectEntry]:
        raise NotImplementedError

    def whole(self, sha256: str, filename: str) -> WholeFile | None:
        return None

    async def open(self, sha256: str, filename: str) -> WholeFile:
        raise FileNotFound(filename)

    async def metadata(self, sha256: str, filename: str) -> bytes:
        archive = self.index.file(filename)
        if archive is None or archive.metadata is None:
            raise FileNotFound(filename)
        return archive.metadata


@pytest.fixture
def index() -> FixtureIndex:
    index = FixtureIndex()
    index.add("app", wheel("app", "1.0", requires=["lib>=1", "gone; extra == 'x'"]))
    index.add("lib", *[wheel("lib", f"{n}.0") for n in range(1, 30)])
    return index


def request(*lines: str) -> Request:
    return Request(tuple(Given(parse(line)) for line in lines), here())


def versions(outcome: Solution | Impossible) -> dict[str, str]:
    assert isinstance(outcome, Solution), outcome
    return {pin.name: pin.version for pin in outcome.pins}


def application(index: FixtureIndex) -> ClosureApplication:
    fake = InMemoryNode(index)
    return ClosureApplication(pages=fake, files=fake)


def answer(app: ClosureApplication, asked: closure.Question) -> Sent:
    packed, body = asyncio.run(app.answer(closure.encode(asked)))
    assert packed == "gzip"
    return closure_answer.decode(gzip.decompress(body))


def test_the_answer_holds_what_a_solver_looks_at_and_no_more(index: FixtureIndex) -> None:
    found = answer(application(index), closure.question(request("app")))
    assert [project.name for project in found.projects] == ["app", "lib"]
    lib = found.projects[1]
    assert len(lib.versions) == 29
    assert list(lib.files) == [0], "the files of one version"
    assert set(found.metadata) == {"app-1.0-py3-none-any.whl", "lib-29.0-py3-none-any.whl"}


def test_the_question_may_be_written_by_hand(index: FixtureIndex) -> None:
    environment = closure.question(request("app")).environment
    body = {"requirements": ["app"], "environment": msgspec.to_builtins(environment)}
    _, text = asyncio.run(application(index).answer(json.dumps(body).encode()))
    assert len(closure_answer.decode(gzip.decompress(text)).projects) == 2


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"requirements": 3}', b"\xff", b'{"requirements": ["a b"], "environment": {}}'],
)
def test_a_malformed_question_is_a_bad_request(index: FixtureIndex, body: bytes) -> None:
    with pytest.raises(BadRequest):
        asyncio.run(application(index).answer(body))


def test_urls_are_not_for_a_node(index: FixtureIndex) -> None:
    with pytest.raises(BadRequest):
        answer(application(index), closure.question(request("a @ file:///etc/passwd")))


def test_the_state_lasts_until_a_page_changes(index: FixtureIndex) -> None:
    app = application(index)
    first = answer(app, closure.question(request("app")))
    assert answer(app, closure.question(request("app"), first.state)).same
    index.add("lib", wheel("lib", "99.0"))
    later = answer(app, closure.question(request("app"), first.state))
    assert not later.same
    assert later.state != first.state
    assert "lib-99.0-py3-none-any.whl" in later.metadata


def test_an_answer_is_sent_smaller_once_there_was_time_to_pack_it(index: FixtureIndex) -> None:
    async def both() -> list[tuple[str, bytes]]:
        app, asked = application(index), closure.encode(closure.question(request("app")))
        first = await app.answer(asked, {"xz", "gzip"})
        await asyncio.gather(*app._packing)
        return [first, await app.answer(asked, {"xz"}), await app.answer(asked, {"gzip"})]

    (one, plain), (two, small), (three, again) = asyncio.run(both())
    assert (one, two, three) == ("gzip", "xz", "gzip")
    assert gzip.decompress(plain) == lzma.decompress(small) == gzip.decompress(again)


def test_what_cannot_be_read_now_is_asked_for_again_by_the_next_question(
    index: FixtureIndex,
) -> None:
    fake = InMemoryNode(index)
    app = ClosureApplication(pages=fake, files=fake)
    there = fake.metadata

    async def away(sha256: str, filename: str) -> bytes:
        raise FileNotFound(filename)

    fake.metadata = away  # type: ignore[method-assign]
    first = answer(app, closure.question(request("app")))
    assert first.metadata == {}
    fake.metadata = there  # type: ignore[method-assign]
    second = answer(app, closure.question(request("app")))
    assert set(second.metadata) == {"app-1.0-py3-none-any.whl", "lib-29.0-py3-none-any.whl"}


def test_requests_survive_the_wire(index: FixtureIndex) -> None:
    asked = msgspec.structs.replace(
        request("app[x]>=1,<2; python_version > '3'"),
        constraints=(Given(parse("lib<5")),),
        exclude_newer=5.0,
        releases=Releases(frozenset({":all:", "a"}), frozenset({"b"})),
    )
    again = closure.request(closure.decode_question(closure.encode(closure.question(asked))))
    assert again.requirements == asked.requirements
    assert again.constraints == asked.constraints
    assert again.target.tags.rank("a-1-py3-none-any.whl") is not None
    assert (again.exclude_newer, again.releases) == (5.0, asked.releases)


# -- the client


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(Places(("http://127.0.0.1:9/simple/",)), Store(None), tmp_path, time.time())
    yield engine
    engine.close()


NODE = "http://127.0.0.1:4747"


def sent(index: FixtureIndex, asked: Request) -> Sent:
    return answer(application(index), closure.question(asked))


def test_the_client_solves_by_itself(index: FixtureIndex, engine: Engine) -> None:
    asked = request("app", "lib<20")
    outcome = closure_client.solve(engine, NODE, asked, sent(index, asked))
    assert versions(outcome) == {"app": "1.0", "lib": "19.0"}
    assert isinstance(outcome, Solution)
    sha256 = outcome.pins[0].file.sha256
    assert outcome.pins[0].file.url == f"{NODE}/files/{sha256}/app-1.0-py3-none-any.whl"


@pytest.fixture
def narrowing() -> FixtureIndex:
    """An index in which the search gives up app 2.0 for app 1.0."""
    index = FixtureIndex()
    index.add("app", wheel("app", "2.0", requires=["lib>1"]), wheel("app", "1.0"))
    index.add("app", sdist("app", "2.0"), sdist("app", "1.0"))
    index.add("lib", wheel("lib", "1.0"))
    return index


def test_what_was_passed_over_is_sent_without_hashes(
    narrowing: FixtureIndex, engine: Engine
) -> None:
    asked = request("app")
    found = sent(narrowing, asked)
    app = next(project for project in found.projects if project.name == "app")
    assert [(row.filename, row.sha256) for row in app.files[0]] == [
        ("app-2.0-py3-none-any.whl", None)
    ]
    assert len(app.files[1]) == 2
    assert all(row.sha256 for row in app.files[1])
    assert versions(closure_client.solve(engine, NODE, asked, found)) == {"app": "1.0"}


def test_a_choice_that_the_node_passed_over_is_read_from_the_index(
    narrowing: FixtureIndex, tmp_path: Path
) -> None:
    asked = request("app")
    found = sent(narrowing, asked)
    wheel_name = "app-2.0-py3-none-any.whl"
    free = msgspec.structs.replace(found.metadata[wheel_name], requires=[])
    lie = msgspec.structs.replace(found, metadata={**found.metadata, wheel_name: free})
    without = {k: v for k, v in found.metadata.items() if k != wheel_name}
    silent = msgspec.structs.replace(found, metadata=without)
    with narrowing:
        for answer in (lie, silent):
            engine = Engine(Places((narrowing.url,)), Store(None), tmp_path, time.time())
            assert versions(closure_client.solve(engine, NODE, asked, answer)) == {"app": "1.0"}
            assert [read.name for read in engine.reads] == ["app"]
            engine.close()


def test_an_impossible_question_is_proved_here(index: FixtureIndex, engine: Engine) -> None:
    asked = request("app", "lib>100")
    assert isinstance(closure_client.solve(engine, NODE, asked, sent(index, asked)), Impossible)


def other_identity(answer: Sent) -> Sent:
    name = "app-1.0-py3-none-any.whl"
    record = msgspec.structs.replace(answer.metadata[name], name="lib")
    return msgspec.structs.replace(answer, metadata={**answer.metadata, name: record})


def other_order(answer: Sent) -> Sent:
    projects = list(answer.projects)
    backwards = list(reversed(projects[1].versions))
    projects[1] = msgspec.structs.replace(projects[1], versions=backwards)
    return msgspec.structs.replace(answer, projects=projects)


def other_files(answer: Sent) -> Sent:
    projects = list(answer.projects)
    swapped = {0: projects[0].files[0]}
    projects[1] = msgspec.structs.replace(projects[1], files=swapped)
    return msgspec.structs.replace(answer, projects=projects)


@pytest.mark.parametrize("lie", [other_identity, other_order, other_files])
def test_an_answer_that_contradicts_itself_is_refused(
    index: FixtureIndex, engine: Engine, lie: Callable[[Sent], Sent]
) -> None:
    asked = request("app")
    with pytest.raises(closure_facts.Contradiction):
        closure_client.solve(engine, NODE, asked, lie(sent(index, asked)))


def test_a_record_that_differs_from_a_known_one_is_refused(
    index: FixtureIndex, tmp_path: Path
) -> None:
    asked = request("app")
    with index:
        honest = Engine(Places((index.url,)), Store(None), tmp_path, time.time())
        assert versions(honest.solve(asked)) == {"app": "1.0", "lib": "29.0"}
        honest.store.flush()
        true = index.projects["app"][0]
        assert true.metadata is not None
        lie = true.metadata.replace(b"lib>=1", b"lib<9")
        found = sent(index, asked)
        index.projects["app"][0] = replace(true, metadata=lie)
        lies = sent(index, asked).metadata
        with pytest.raises(closure_facts.Contradiction):
            closure_client.solve(honest, NODE, asked, msgspec.structs.replace(found, metadata=lies))
        honest.close()


@pytest.fixture
def running(index: FixtureIndex, tmp_path: Path) -> Iterator[NodeProcess]:
    with index, node(tmp_path / "home", "--index-url", index.url) as process:
        yield process


def test_through_a_real_node_in_one_request(
    running: NodeProcess, index: FixtureIndex, tmp_path: Path
) -> None:
    index.add("src", sdist("src", "1.0", requires=["lib<3"]))
    engine = Engine(Places((running.simple,)), Store(None), tmp_path, time.time())
    asked = request("app", "src")
    found = answering.answer(engine, asked, running.url)
    assert versions(found.outcome) == {"app": "1.0", "lib": "2.0", "src": "1.0"}
    assert engine.reads == (), "no page was asked for"
    held = Answer(0.0, found.reads, "text")
    again = answering.renewed(engine, held, asked, running.url)
    assert again is not None
    assert again.fresh_until > engine.now
    assert answering.renewed(engine, held, asked, None) is None
    engine.close()


def test_a_node_without_closures_is_an_index_like_any_other(
    index: FixtureIndex, tmp_path: Path
) -> None:
    said: list[str] = []
    with index:
        engine = Engine(Places((index.url,)), Store(None), tmp_path, time.time())
        found = answering.answer(engine, request("app"), index.origin, say=said.append)
        assert versions(found.outcome) == {"app": "1.0", "lib": "29.0"}
        engine.close()
    assert len(said) == 1
    assert "the node does not help" in said[0]


def test_what_the_node_could_not_read_is_read_from_the_index(
    index: FixtureIndex, tmp_path: Path
) -> None:
    asked = request("app")
    name = "lib-29.0-py3-none-any.whl"
    found = sent(index, asked)
    without = {key: value for key, value in found.metadata.items() if key != name}
    told = msgspec.structs.replace(found, metadata=without, unread={name: "it is broken"})
    with index:
        told = as_sent_by(told, index)
        engine = Engine(Places((index.url,)), Store(None), tmp_path, time.time())
        assert versions(closure_client.solve(engine, index.origin, asked, told))["lib"] == "29.0"
        engine.close()


def as_sent_by(answer: Sent, index: FixtureIndex) -> Sent:
    """Return the answer of a node that serves the index's files where the index does."""
    projects = [
        msgspec.structs.replace(
            project,
            files={
                number: [
                    msgspec.structs.replace(row, url=f"/packages/{row.filename}") for row in rows
                ]
                for number, rows in project.files.items()
            },
        )
        for project in answer.projects
    ]
    return msgspec.structs.replace(answer, projects=projects)


class Liar:
    """A node that answers every closure question with the same bytes, or never."""

    def __init__(self, body: bytes | None, *, status: int = 200, packed: str = "identity") -> None:
        liar = self
        self.given_up = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                if body is None:
                    liar.given_up.wait(60)
                    return
                self.send_response(status)
                self.send_header("Content-Encoding", packed)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self.given_up.set()
        self.server.shutdown()
        self.server.server_close()


def truncated(answer: bytes) -> bytes:
    return answer[: len(answer) // 2]


def nonsense(answer: bytes) -> bytes:
    return b'{"state": "x", "projects": 3}'


def deep(answer: bytes) -> bytes:
    return b"[" * 100_000


def no_version(answer: bytes) -> bytes:
    return answer.replace(b'"29.0"', b'"twenty"')


def no_specifier(answer: bytes) -> bytes:
    return answer.replace(b">=1", b"~~1")


def no_marker(answer: bytes) -> bytes:
    return answer.replace(b"extra == ", b"extra is ")


def nothing_exists(answer: bytes) -> bytes:
    lie = Sent("x", 60.0, missing=["app", "lib"])
    return closure_answer.encode(lie)


def huge(answer: bytes) -> bytes:
    return answer + b" " * 2_000_000


@pytest.mark.parametrize(
    "lie", [truncated, nonsense, deep, no_version, no_specifier, no_marker, nothing_exists, huge]
)
@pytest.mark.parametrize("packed", ["identity", "gzip", "xz"])
def test_a_node_that_lies_or_breaks_off_changes_no_lock(
    index: FixtureIndex,
    tmp_path: Path,
    lie: Callable[[bytes], bytes],
    packed: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(closure, "MAX_ANSWER", 1_000_000)
    asked = request("app[x]")
    index.add("gone", wheel("gone", "1.0"))
    body = lie(closure_answer.encode(sent(index, asked)))
    packs: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "xz": lzma.compress}
    pack = packs.get(packed, bytes)
    said: list[str] = []
    with index, Liar(pack(body), packed=packed) as url:
        engine = Engine(Places((index.url,)), Store(None), tmp_path, time.time())
        found = answering.answer(engine, asked, url, say=said.append)
        engine.close()
    assert versions(found.outcome) == {"app": "1.0", "gone": "1.0", "lib": "29.0"}
    seen_through = lie not in {nothing_exists, no_specifier}  # else "no answer", found out anew
    assert len(said) == seen_through
    assert "node" not in found.reads.decode()


def test_a_packed_answer_that_breaks_off_is_no_answer(index: FixtureIndex, tmp_path: Path) -> None:
    asked = request("app")
    body = closure_answer.encode(sent(index, asked))
    with index:
        for packed, cut in (("gzip", gzip.compress(body)[:-20]), ("xz", lzma.compress(body)[:-20])):
            with Liar(cut, packed=packed) as url:
                engine = Engine(Places((index.url,)), Store(None), tmp_path, time.time())
                with pytest.raises(BadAnswer):
                    closure_client.ask(engine, url, asked)
                engine.close()


def test_a_node_that_does_not_answer_is_given_up(
    index: FixtureIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closure_client, "PATIENCE", 0.2)
    said: list[str] = []
    with index, Liar(None) as url:
        engine = Engine(Places((index.url,)), Store(None), tmp_path, time.time())
        found = answering.answer(engine, request("app"), url, say=said.append)
        engine.close()
    assert versions(found.outcome) == {"app": "1.0", "lib": "29.0"}
    assert "has not answered" in said[0]


def test_other_methods_and_paths_are_refused(running: NodeProcess) -> None:
    from dpip.resolve.transport import get

    transport = open_transport(attempts=1)
    for path, status in (("/resolve/v1/closure", 405), ("/resolve/v2", 404)):
        with pytest.raises(HttpFailure) as caught:
            get(transport, running.url + path, {}, 1000)
        assert caught.value.status == status
    transport.close()
