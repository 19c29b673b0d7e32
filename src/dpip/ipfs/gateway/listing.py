"""The page that shows a directory. Sent piece by piece: a million entries need no memory."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from .request import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..cid import CID
    from ..dagpb import Link
    from .request import ContentPath

VERSION = "1"
"""Part of the page's etag: change it with the look of the page."""
_BATCH = 500

_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem }}
table {{ border-collapse: collapse; width: 100% }}
td {{ padding: .2rem .5rem; border-top: 1px solid #8884 }}
td:last-child {{ text-align: right; white-space: nowrap }}
.ipfs-hash {{ font-family: ui-monospace, monospace; opacity: .7 }}
</style>
</head>
<body>
<h1>Index of {breadcrumbs}</h1>
<p class="ipfs-hash">{cid}</p>
<table>
"""


def page(path: ContentPath, url_path: str, cid: CID, links: Iterable[Link]) -> Iterator[bytes]:
    """Yield the page of a directory; `url_path` ends with a slash, decoded."""
    head = _HEAD.format(title=_text(str(path)), breadcrumbs=_breadcrumbs(path), cid=cid)
    rows = [head]
    if path.segments:
        rows.append(
            f'<tr><td><a href="{_href(url_path + "..")}">..</a></td><td></td><td></td></tr>\n'
        )
    for link in links:
        rows.append(_row(url_path, link))
        if len(rows) == _BATCH:
            yield "".join(rows).encode()
            rows = []
    rows.append("</table>\n</body>\n</html>\n")
    yield "".join(rows).encode()


# The filename is encoded twice, as Kubo's page does it: clients read the pages of both.
def _row(url_path: str, link: Link) -> str:
    cid = str(link.cid)
    short = f"{cid[:4]}…{cid[-4:]}"
    return (
        f'<tr><td><a href="{_href(url_path + link.name)}">{_text(link.name)}</a></td>'
        f'<td><a class="ipfs-hash" translate="no" '
        f'href="/ipfs/{cid}?filename={_href(quoted(link.name, ""))}">{short}</a></td>'
        f"<td>{_amount(link.tsize)}</td></tr>\n"
    )


def _breadcrumbs(path: ContentPath) -> str:
    parts = (path.root, *path.segments)
    links = []
    for count, part in enumerate(parts, 1):
        target = "/".join(("", path.namespace, *parts[:count]))
        links.append(f'/<a href="{_href(target)}">{_text(part)}</a>')
    return f"/{path.namespace}{''.join(links)}"


def _href(path: str) -> str:
    return html.escape(quoted(path, "/$+:@"))


def _text(name: str) -> str:
    return html.escape(name.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def _amount(size: int) -> str:
    amount, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB", "EB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 10 else f"{amount:.1f} {unit}"
