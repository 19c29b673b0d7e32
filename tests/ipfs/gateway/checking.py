"""A clause put to a gateway: the request with its names filled in, and the answer checked."""

from __future__ import annotations

import io
import re
import tarfile
from typing import TYPE_CHECKING

from dpip.ipfs import ipns
from dpip.ipfs.cid import CID, inline
from dpip.ipfs.keys import parse_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ipfs.gateway.asking import Reply
    from tests.ipfs.gateway.clauses import Clause
    from tests.ipfs.gateway.fixtures import Fixtures

    Ask = Callable[[str, str, dict[str, str]], Reply]

_NAME = re.compile(r"\{((?:content|ipns):)?([^{}]*[^{}0-9,][^{}]*)\}")


def filled(fixtures: Fixtures, text: str) -> str:
    """Replace `{name}` by what it stands for; `{22}` of a regular expression stays."""

    def value(found: re.Match[str]) -> str:
        kind, name = found.groups()
        if kind == "ipns:":
            return fixtures.names[name]
        return pointed(fixtures, name) if kind else str(fixtures.cid(name))

    return _NAME.sub(value, text)


def pointed(fixtures: Fixtures, label: str) -> str:
    """Return the content of the identity CID that a record points to."""
    name = fixtures.names[label]
    record = ipns.verify(fixtures.records[name], parse_name(name))
    return (inline(CID.parse(record.value.removeprefix("/ipfs/"))) or b"").decode()


def check(fixtures: Fixtures, clause: Clause, ask: Ask) -> None:
    """Ask, and hold the answer against the clause."""
    sent = {name: filled(fixtures, value) for name, value in clause.sent.items()}
    reply = ask(clause.method, filled(fixtures, clause.path), sent)
    assert reply.status in clause.status, reply.body[:200]
    for name, expected in clause.headers.items():
        pattern, found = filled(fixtures, expected or ""), reply.headers.get(name, "")
        assert re.fullmatch(pattern, found), f"{name}: {found!r} is not {pattern!r}"
    _check_content(fixtures, clause, reply)


def _check_content(fixtures: Fixtures, clause: Clause, reply: Reply) -> None:
    if clause.blocks is not None:
        expected, got = fixtures.cids(clause.blocks), reply.car()
        assert set(got) == set(expected) if clause.unordered else got == expected
    if clause.body is not None:
        assert reply.body == _body(fixtures, clause.body)
    if clause.text is not None:
        assert reply.body == filled(fixtures, clause.text).encode()
    if clause.record is not None:
        assert reply.body == fixtures.records[fixtures.names[clause.record]]
    text = reply.body.decode("utf-8", "replace")
    for part in clause.holds:
        assert filled(fixtures, part) in text
    for part in clause.lacks:
        assert filled(fixtures, part) not in text
    if clause.members:
        with tarfile.open(fileobj=io.BytesIO(reply.body)) as archive:
            names = archive.getnames()
        assert {filled(fixtures, name) for name in clause.members} <= set(names)


def _body(fixtures: Fixtures, text: str) -> bytes:
    name, _, part = text.partition("@")
    data = fixtures.store.get(fixtures.cid(name))
    start, _, stop = part.partition(":")
    return data[int(start or 0) : int(stop) if stop else None]
