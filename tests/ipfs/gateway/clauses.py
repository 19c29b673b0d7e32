"""What the gateway specifications promise, as questions with answers.

The table is put to three gateways: ours in memory (`test_clauses.py`), a real Kubo, which
shows that it asks for nothing that is not so, and a real node filled by the command and over
HTTP (`tests/app/test_gateway_clauses.py`). It covers the questions of the public conformance
suite group by group:

| group of the suite (checks it counts there) | cases of the suite | clauses here |
|---|---|---|
| trustless-gateway (418): CAR | 25, each by `format=car` and by `Accept` | `CARS`: 25, both ways |
| order, duplicates, identity, what wins | 9 | `CARS_BY_ACCEPT`: 9 |
| block, ranges of one, orders of fields | 5 + 2 + 5 | `RAW`: 8, `ORDERS_RAW`: 4 |
| IPNS records | 5 | `RECORDS`: 8 |
| path-unixfs (53): listing | 4 | `LISTING`: 4 |
| caching, under a CID | 13 + 3 | `CACHE`: 17; a listing's own etag: `test_unixfs.py` |
| caching, under a name (path-ipns, too) | 5 | `NAMES_CACHE`: 6 |
| symlinks; ranges, names | 3; 8 | `SYMLINKS`: 3, `RANGES`: 7 |
| CORS; orders of fields | 2; 4 | `CORS`: 2, `ORDERS`: 4 |
| path-raw (23) | 7 | `PATH_RAW`: 8 |
| path-ipns (14) | 10 | `PATH_IPNS`: 10 |
| path-tar (18) | 6 | `TAR`: 6 |

A check of the suite is one header, status or body of a case; here a clause is a case with all
that is asked of its answer. Cases were counted in the suite's sources, whose stored versions
differ a little from each other, so a number may be one off.

In paths and expected texts, `{name}` is the CID of a fixture (`fixtures.py`), `{ipns:label}`
an IPNS name. An expected header is a regular expression for the whole value, or None where the
header must be absent. `body` is the content of a fixture's block, a slice of it, or text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

RAW_TYPE = "application/vnd.ipld.raw"
CAR_TYPE = "application/vnd.ipld.car"
RECORD_TYPE = "application/vnd.ipfs.ipns-record"
FOREVER = "public, max-age=29030400, immutable"
SOON = "(public, max-age=[0-9]+.*)?"
_CAR = re.escape(CAR_TYPE)
CAR_HEADERS = {
    "content-type": _CAR + ".*",
    "content-disposition": r'attachment; filename=".*\.car".*',
    "accept-ranges": "none",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True)
class Clause:
    """A request, and what its answer must be."""

    path: str
    sent: dict[str, str] = field(default_factory=dict)
    method: str = "GET"
    status: tuple[int, ...] = (200,)
    headers: dict[str, str | None] = field(default_factory=dict)
    blocks: str | None = None
    """The blocks of a CAR, in their order."""
    unordered: bool = False
    body: str | None = None
    """The name of a block and perhaps a slice, `two/subdir@6:17`."""
    text: str | None = None
    record: str | None = None
    """The label of the IPNS record that is the whole body."""
    holds: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    """Names of files in a tar."""

    def __str__(self) -> str:
        sent = "".join(f" {name}={value}" for name, value in self.sent.items())
        return f"{self.method} {self.path}{sent}"


def _blocks(path: str, query: str, blocks: str) -> Clause:
    return Clause(f"{path}?{query}".rstrip("?"), headers=dict(CAR_HEADERS), blocks=blocks)


_M, _E, _F = "mixed/subdir/multiblock.txt", "dag-scope=entity", "dag-scope=entity&entity-bytes="
_PATH = "mixed mixed/subdir " + _M
CARS = [
    _blocks("/ipfs/{two}/subdir/ascii.txt", "", "two two/subdir two/subdir/ascii.txt"),
    _blocks("/ipfs/{hamt}/685.txt", "", "hamt hamt#>685.txt hamt/685.txt hamt/685.txt#0:"),
    _blocks("/ipfs/{cbor/document}/files/single", "", "cbor/document cbor/document/files/single"),
    _blocks("/ipfs/{two}/subdir/i-do-not-exist", "", "two two/subdir"),
    _blocks("/ipfs/{two}/subdir", "dag-scope=block", "two two/subdir"),
    _blocks(
        "/ipfs/{two}/subdir/ascii.txt", "dag-scope=block", "two two/subdir two/subdir/ascii.txt"
    ),
    _blocks("/ipfs/{hamt}/1.txt", "dag-scope=block", "hamt hamt#>1.txt hamt/1.txt"),
    _blocks("/ipfs/{two}", _E, "two"),
    _blocks("/ipfs/{hamt}", _E, "hamt hamt#shards"),
    _blocks("/ipfs/{mixed}/subdir/ascii.txt", _E, "mixed mixed/subdir mixed/subdir/ascii.txt"),
    _blocks("/ipfs/{mixed}/subdir/multiblock.txt", _E, f"{_PATH} {_M}#0:"),
    _blocks("/ipfs/{cbor}/document", _E, "cbor cbor/document"),
    _blocks(
        "/ipfs/{mixed}/subdir",
        "dag-scope=all",
        f"mixed mixed/subdir mixed/subdir/ascii.txt mixed/subdir/hello.txt {_M} {_M}#0:",
    ),
    _blocks("/ipfs/{mixed}/subdir/multiblock.txt", "dag-scope=all", f"{_PATH} {_M}#0:"),
    _blocks("/ipfs/{holed}", _F + "0:1000", "holed holed#0"),
    _blocks("/ipfs/{holed}", _F + "2200:*", "holed holed#2"),
    _blocks("/ipfs/{mixed}/subdir/multiblock.txt", _F + "0:*", f"{_PATH} {_M}#0:"),
    _blocks("/ipfs/{hamt}", _F + "0:*", "hamt hamt#shards"),
    _blocks(f"/ipfs/{{{_M}}}", _F + "512:*", f"{_M} {_M}#2:"),
    _blocks(f"/ipfs/{{{_M}}}", _F + "512:1023", f"{_M} {_M}#2:4"),
    _blocks(f"/ipfs/{{{_M}}}", _F + "512:-256", f"{_M} {_M}#2:4"),
    _blocks(f"/ipfs/{{{_M}}}", _F + "-5:*", f"{_M} {_M}#3:"),
    _blocks(f"/ipfs/{{{_M}}}", _F + "-9999:*", f"{_M} {_M}#0:"),
    _blocks(f"/ipfs/{{{_M}}}", _F + "-9999:-3", f"{_M} {_M}#0:4"),
    _blocks(f"/ipfs/{{{_M}}}", _F + "0:0", f"{_M} {_M}#0"),
]
_ALL = "dup/hello.txt dup/multiblock.txt dup/multiblock.txt#0:"
_ONCE, _TWICE = f"dup dup/ascii.txt {_ALL}", f"dup dup/ascii.txt dup/ascii.txt {_ALL}"


def _by_accept(path: str, parameters: str, blocks: str, *, unordered: bool = False) -> Clause:
    kind = CAR_TYPE + "".join(
        rf"(?=.*{part.strip()})" for part in parameters.split(";") if "unk" not in part
    )
    return Clause(
        path,
        {"accept": f"{CAR_TYPE}; {parameters}"},
        headers={**CAR_HEADERS, "content-type": f"{kind}.*order=.*"},
        blocks=blocks,
        unordered=unordered,
    )


CARS_BY_ACCEPT = [
    _by_accept("/ipfs/{dup}", "version=1; order=dfs; dups=y", _TWICE),
    _by_accept("/ipfs/{dup}", "version=1; order=dfs; dups=n", _ONCE),
    _by_accept("/ipfs/{dup}", "version=1; order=unk", _ONCE, unordered=True),
    _by_accept("/ipfs/bafkqaf3imvwgy3zaneqgc3janfxgy2lomvscay3jmqfa", "dups=y", ""),
    _by_accept("/ipfs/{dup}?format=car", "version=1; order=dfs; dups=y", _TWICE),
    *(
        Clause(f"/ipfs/{path}", {"accept": accept}, headers={"content-type": expected})
        for path, accept, expected in (
            ("{dup}?format=car&car-order=dfs", f"{CAR_TYPE}; order=unk", f"{_CAR}.*order=dfs.*"),
            ("{dup}?format=car&car-dups=y", f"{CAR_TYPE}; dups=n", f"{_CAR}.*dups=y.*"),
            ("{block/dir}?format=car", RAW_TYPE, f"{_CAR}.*"),
            ("{block/dir}?format=raw", CAR_TYPE, RAW_TYPE),
        )
    ),
]
_BLOCK_HEADERS: dict[str, str | None] = {
    "content-type": RAW_TYPE,
    "content-length": "31",
    "content-disposition": r'attachment;\s*filename=".*\.bin".*',
    "x-content-type-options": "nosniff",
}
_BY_ACCEPT = {"accept": RAW_TYPE}


def _raw(directory: str, file: str, roots: str, size: int) -> list[Clause]:
    """Return the questions about blocks, addressed by their CIDs or by a path to them."""
    first: dict[str, str | None] = {"content-type": RAW_TYPE}
    kept: dict[str, str | None] = {
        "etag": ".+", "x-ipfs-path": file, "x-ipfs-roots": roots,
        "cache-control": FOREVER,
    }  # fmt: skip
    name: dict[str, str | None] = {"content-disposition": 'attachment;.*filename="foobar.bin.*'}
    part = {**first, "content-range": "bytes 6-16/31"}
    start = {**first, "content-range": f"bytes 6-16/{size}"}
    return [
        Clause(directory + "?format=raw", body="block/dir"),
        Clause(directory, _BY_ACCEPT, body="block/dir"),
        Clause(directory, {**_BY_ACCEPT, "range": "bytes=6-16"}, status=(206,), headers=start,
               body="block/dir@6:17"),
        Clause(file, _BY_ACCEPT, headers=_BLOCK_HEADERS, body="block/dir/ascii.txt"),
        Clause(file + "?filename=foobar.bin", _BY_ACCEPT, headers=name),
        Clause(file, _BY_ACCEPT, headers=kept),
        *(Clause(file, {**_BY_ACCEPT, "range": f"bytes={ranges}"}, status=(206,), headers=part,
                 body="block/dir/ascii.txt@6:17") for ranges in ("6-16", "6-16,0-4")),
    ]  # fmt: skip


RAW = _raw("/ipfs/{block/dir}", "/ipfs/{block/dir/ascii.txt}", "{block/dir/ascii.txt}", 57)
PATH_RAW = _raw("/ipfs/{block}/dir", "/ipfs/{block}/dir/ascii.txt", "{block},.*", 57)
_CENTURY: dict[str, str | None] = {
    "content-disposition": "attachment;.*",
    "content-type": re.escape(RECORD_TYPE) + ".*",
    "cache-control": "public, max-age=31557[0-9]{5}|public, max-age=3155760000",
}
_UTF8_NAME = "test%D1%82%D0%B5%D1%81%D1%82"
_HALF_AN_HOUR = {**_CENTURY, "cache-control": "public, max-age=1800"}
RECORDS = [
    Clause("/ipns/{ipns:century}", body="hello"),
    *(
        Clause(f"/ipns/{{ipns:{label}}}{query}", sent, headers=_HALF_AN_HOUR, record=label)
        for label in ("v1-v2", "v2")
        for query, sent in (("?format=ipns-record", {}), ("", {"accept": RECORD_TYPE}))
    ),
    Clause("/ipns/{ipns:century}?format=ipns-record", headers=_CENTURY),
    Clause("/ipns/{ipns:century}", {"accept": RECORD_TYPE}, headers=_CENTURY),
    Clause(
        f"/ipns/{{ipns:century}}?format=ipns-record&filename={_UTF8_NAME}.ipns-record",
        headers={
            "content-disposition": re.escape(
                'attachment; filename="test____.ipns-record"; '
                f"filename*=UTF-8''{_UTF8_NAME}.ipns-record"
            )
        },
    ),
]
_DIR = "/ipfs/{listing}/%C4%85/%C4%99"
_CRUMBS = (
    '/ipfs/<a href="/ipfs/{listing}">{listing}</a>'
    '/<a href="/ipfs/{listing}/%C4%85">ą</a>'
    '/<a href="/ipfs/{listing}/%C4%85/%C4%99">ę</a>'
)
_HASH = (
    '<a class="ipfs-hash" translate="no" href="/ipfs/{listing/ą/ę/file-źł.txt}'
    '?filename=file-%25C5%25BA%25C5%2582.txt">'
)
LISTING = [
    Clause("/ipfs/{listing}/", holds=("Index of",), lacks=('<a href="/ipfs/{listing}/">..</a>',)),
    Clause(_DIR, status=(301,), headers={"location": _DIR + "/"}),
    Clause(
        _DIR + "/",
        headers={"etag": '"DirIndex-.*'},
        holds=(
            "Index of",
            _CRUMBS,
            '<a href="/ipfs/{listing}/%C4%85/%C4%99/..">..</a>',
            '<a href="/ipfs/{listing}/%C4%85/%C4%99/file-%C5%BA%C5%82.txt">file-źł.txt</a>',
            _HASH,
        ),
    ),
    Clause("/ipfs/{listing}/i-do-not-exist", status=(404,)),
]
_ROOTS = ["cache", "cache/root2", "cache/root2/root3", "cache/root2/root3/root4",
          "cache/root2/root3/root4/index.html"]  # fmt: skip


def _cached(base: str, plain: str, listed: str) -> list[Clause]:
    """Return the questions about how long what lies under `base` may be kept."""

    def roots(count: int) -> str:
        return ",".join(f"{{{name}}}" for name in _ROOTS[:count])

    def shown(path: str, count: int, etag: str, cache: str) -> Clause:
        return Clause(
            f"{base}{path}",
            headers={"cache-control": cache, "x-ipfs-path": f"{base}{path}",
                     "x-ipfs-roots": roots(count), "etag": etag},
        )  # fmt: skip

    return [
        shown("/root2/root3/", 3, ".*DirIndex-.*_CID-{cache/root2/root3}.*", listed),
        shown("/root2/root3/root4/", 4, '"{cache/root2/root3/root4}"', plain),
        shown("/root2/root3/root4/index.html", 5, f'"{{{_ROOTS[4]}}}"', plain),
        *(Clause(f"{base}/root2/root3/root4/?format={name}", headers={"cache-control": plain},
                 body="cache/root2/root3/root4" if name == "raw" else None)
          for name in ("json", "raw")),
        Clause(base + "/root2/root3/root4/index.html", {"if-none-match": f'"{{{_ROOTS[4]}}}"'},
               status=(304,)),
    ]  # fmt: skip


_FILE, _INDEX = "/ipfs/{cache}/root2/root3/root4/index.html", "/ipfs/{cache}/root2/root3/root4/"
_ABSENT, _ONLY = "/ipfs/QmYzfKSE55XCjD1MW128RfciAf2DViABhEiXfgVFMabSjN", "only-if-cached"
CACHE = [
    *_cached("/ipfs/{cache}", FOREVER, "(public, max-age=604800, stale-while-revalidate=2678400)?"),
    *(
        Clause(path, {"cache-control": _ONLY}, method, (status,))
        for method in ("HEAD", "GET")
        for path, status in (
            (_INDEX + "?format=json", 200),
            (_INDEX + "?format=raw", 200),
            (_ABSENT, 412),
        )
    ),
    *(
        Clause(path, {"if-none-match": etag}, status=(304,))
        for path, etag in (
            (_INDEX, '"{cache/root2/root3/root4}"'),
            (_FILE, f'"fakeEtag1", "fakeEtag2", "{{{_ROOTS[4]}}}"'),
            (_FILE, f'W/"{{{_ROOTS[4]}}}"'),
            (_FILE, "*"),
            ("/ipfs/{cache}/root2/root3/", 'W/"{cache/root2/root3}"'),
        )
    ),
]
NAMES_CACHE = _cached("/ipns/{ipns:9j12zfhe}", SOON, SOON)
SYMLINKS = [
    Clause("/ipfs/{symlink}/", holds=(">foo<", ">bar<")),
    Clause("/ipfs/{symlink}?format=raw", body="symlink"),
    Clause("/ipfs/{symlink}/bar", text="foo"),
]


def _range(path: str, ranges: str, content: str, body: str | None) -> Clause:
    headers: dict[str, str | None] = {"content-type": ".+", "content-range": content}
    return Clause(path, {"range": f"bytes={ranges}"}, status=(206,), headers=headers, body=body)


RANGES = [
    Clause("/ipfs/{files}/ascii.txt", headers={"accept-ranges": "bytes"}, body="files/ascii.txt"),
    _range("/ipfs/{files}/ascii.txt", "6-16", "bytes 6-16/31", "files/ascii.txt@6:17"),
    _range("/ipfs/{files}/ascii.txt", "-3", "bytes 28-30/31", "files/ascii.txt@28:31"),
    _range("/ipfs/{files}/ascii.txt", "6-16,0-4", "bytes 6-16/31", "files/ascii.txt@6:17"),
    _range("/ipfs/{holed}", "997-1000", "bytes 997-1000/3072", None),
    _range("/ipfs/{holed}", "2200-2201", "bytes 2200-2201/3072", None),
    Clause(
        "/ipfs/{percent}/Portugal%252C+Espa%C3%B1a=Peninsula%20Ib%C3%A9rica.txt",
        body="percent/Portugal%2C+España=Peninsula Ibérica.txt",
    ),
]
_SHARED: dict[str, str | None] = {
    "access-control-allow-origin": r"\*",
    "access-control-allow-methods": "(?=.*GET)(?=.*HEAD)(?=.*OPTIONS).*",
    "access-control-allow-headers": (
        "(?=.*Content-Type)(?=.*Range)(?=.*User-Agent)(?=.*X-Requested-With).*"
    ),
    "access-control-expose-headers": (
        "(?=.*Content-Range)(?=.*Content-Length)(?=.*X-Ipfs-Path)(?=.*X-Ipfs-Roots)"
        "(?=.*X-Chunked-Output)(?=.*X-Stream-Output).*"
    ),
}
CORS = [
    Clause("/ipfs/bafkqabtimvwgy3yk/", method=method, status=(200, 204), headers=_SHARED)
    for method in ("GET", "OPTIONS")
]
_ORDERED = [
    f"{kind}-{order}" for kind in ("directory", "shard") for order in ("data-first", "links-first")
]
ORDERS = [Clause(f"/ipfs/{{{name}}}/hello.txt", text="hello\n") for name in _ORDERED]
ORDERS_RAW = [Clause(f"/ipfs/{{{name}}}", _BY_ACCEPT, body=name) for name in _ORDERED]
_SPELLINGS = (
    (
        "12D3KooWRBy97UB99e3J6hiPesre1MZeuNQvfan4gBziswrRJsNK",
        "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8",
    ),
    (
        "QmcJM7PRfkSbcM5cf1QugM5R37TLRKyJGgBEhXjLTB8uA2",
        "k2k4r8ol4m8kkcqz509c1rcjwunebj02gcnm5excpx842u736nja8ger",
    ),
)
PATH_IPNS = [
    *(Clause(f"/ipns/{{ipns:{label}}}", status=(500, 502, 504)) for label in
      ("v1", "broken-v1-value", "broken-signature-v2")),
    *(Clause(f"/ipns/{{ipns:{label}}}", text=f"{{content:{label}}}") for label in
      ("broken-signature-v1", "v1-v2", "v2")),
    *(
        Clause(f"/ipns/{asked}/root2/", status=(302,), headers={"location": f"/ipns/{name}/root2/"})
        for asked, name in _SPELLINGS
    ),
    Clause("/ipns/{ipns:dojlm57c}/", holds=("Index of", "root3")),
    Clause("/ipns/{ipns:dojlm57c}/root3/root4/index.html", text="hello\n"),
]  # fmt: skip
_TAR_FILE = "{listing/ą/ę/file-źł.txt}"
_TAR_HEADERS: dict[str, str | None] = {
    "content-disposition": "attachment;.*",
    "etag": f'W/"{_TAR_FILE}.x-tar.*',
    "content-type": "application/x-tar.*",
}
TAR = [
    Clause(f"/ipfs/{_TAR_FILE}?format=tar", headers=_TAR_HEADERS, members=(_TAR_FILE,)),
    Clause(f"/ipfs/{_TAR_FILE}", {"accept": "application/x-tar"}, headers=_TAR_HEADERS,
           members=(_TAR_FILE,)),
    Clause("/ipfs/{listing}?format=tar", members=("{listing}/ą/ę/file-źł.txt",)),
    Clause(
        f"/ipfs/{{listing}}?filename={_UTF8_NAME}.tar&format=tar",
        headers={"content-disposition": re.escape(
            f"attachment; filename=\"test____.tar\"; filename*=UTF-8''{_UTF8_NAME}.tar")},
    ),
    Clause("/ipfs/{outside}?format=tar",
           holds=("relative UnixFS paths outside the root are not allowed",)),
    Clause("/ipfs/{inside}?format=tar", members=("{inside}/foobar/file",)),
]  # fmt: skip


def _both_ways(clause: Clause) -> list[Clause]:
    """Return a CAR's clause asked by `format` and by `Accept`."""
    join = "&" if "?" in clause.path else "?"
    by_format = Clause(
        f"{clause.path}{join}format=car", headers=clause.headers, blocks=clause.blocks
    )
    by_accept = Clause(
        clause.path, {"accept": CAR_TYPE}, headers=clause.headers, blocks=clause.blocks
    )
    return [by_format, by_accept]


EVERY = [
    *(found for clause in CARS for found in _both_ways(clause)),
    *CARS_BY_ACCEPT, *RAW, *ORDERS_RAW, *RECORDS,
    *LISTING, *CACHE, *NAMES_CACHE, *SYMLINKS, *RANGES, *CORS, *ORDERS,
    *PATH_RAW, *PATH_IPNS, *TAR,
]  # fmt: skip
