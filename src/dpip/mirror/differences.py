"""Store against index against upstream, for one project: what is not the same. Pure.

The index is the page that this mirror serves, the store what lies on its disk, upstream its
page as of now seen through the mirror's own rules, so that what a rule leaves out is not
called missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dpip.mirror.tombstones import QUARANTINED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dpip.simple.model import File, Project

Kind = Literal["missing", "extra", "different", "yanked"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One file about which two of the three disagree; hashes are SHA-256, None: not there.

    `missing` is listed (here or upstream) and not stored or not listed here, `extra` is listed
    here and not upstream any more, or stored and never listed, `yanked` was yanked (or its yank
    taken back) since.
    """

    kind: Kind
    project: str
    filename: str
    index: str | None
    upstream: str | None
    store: str | None
    detail: str = ""


def differences(
    name: str,
    index: Project | None,
    upstream: Project | None,
    stored: Mapping[str, str],
    *,
    asked: bool,
    whole: bool,
) -> Iterator[Difference]:
    """Yield what differs; `stored` maps file names to the hashes of their bytes.

    `asked` says that upstream was asked (None then means that it has no such project), and
    `whole` that this home means to store everything that its page lists.
    """
    ours = _files(index)
    theirs = _files(upstream) if asked else ours
    for filename in sorted({*ours, *theirs}):
        here, there = ours.get(filename), theirs.get(filename)
        store = stored.get(filename)
        for kind, detail in _judged(here, there, store, whole=whole):
            yield Difference(kind, name, filename, _hash(here), _hash(there), store, detail)


def _judged(
    here: File | None, there: File | None, store: str | None, *, whole: bool
) -> Iterator[tuple[Kind, str]]:
    if there is None:
        yield "extra", "upstream does not list it any more"
    if here is None:
        yield "missing", "upstream lists it, the index here does not"
    elif store is None and whole:
        yield "missing", "listed, but not stored"
    hashes = {file.sha256 for file in (here, there) if file is not None and file.sha256}
    if store is not None:
        hashes.add(store)
    if len(hashes) > 1:
        yield "different", "the hashes disagree"
    if here is not None and there is not None and (here.yanked is None) != (there.yanked is None):
        since = "yanked upstream" if here.yanked is None else "not yanked upstream any more"
        reason = there.yanked or ""
        yield "yanked", f"{since}: {reason}" if reason else since


def _hash(file: File | None) -> str | None:
    return None if file is None else file.sha256


def _files(project: Project | None) -> dict[str, File]:
    # In quarantine nothing is offered, whatever the page still lists.
    if project is None or project.status == QUARANTINED:
        return {}
    return {file.filename: file for file in project.files}
