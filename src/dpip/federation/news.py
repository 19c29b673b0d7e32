"""From a catalog's page to news: what is new, what has changed, what is gone. Pure.

News is the difference between what a node has said of a project and what its catalog holds
now. So it may be computed again at any time, after any crash, and saying it twice is saying
it once. The project's own bundle comes last: it is the commit of the files before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpip.federation.claims import FileClaim, claim_of, file_contents, project_contents
from dpip.federation.rids import PypiFile, PypiProject
from dpip.koi import Bundle, EventType, KnowledgeObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from dpip.koi import RID
    from dpip.simple.model import Project


def news_of(
    project: Project,
    *,
    page: str,
    cids: Mapping[str, str],
    said: Iterable[RID],
    at: datetime,
    private: bool = False,
) -> list[KnowledgeObject]:
    """Return the news of a page: files, gone files, then the project.

    File URLs are absolute. `page` is the page's CID, `cids` maps SHA-256 to the CIDs of stored
    files, `said` are the file RIDs that this node holds, `at` is when the source said it. `private`
    news is for some nodes alone.
    """
    listed: set[RID] = set()
    found: list[KnowledgeObject] = []
    for file in project.files:
        if file.sha256 is None:
            continue
        rid = PypiFile(project.name, file.filename)
        listed.add(rid)
        contents = file_contents(FileClaim(file, cids.get(file.sha256), private=private))
        found.append(KnowledgeObject.from_bundle(Bundle.generate(rid, contents, now=at)))
    found += [_gone(rid) for rid in sorted(said) if rid not in listed]
    whole = project_contents(claim_of(project, page, private=private))
    bundle = Bundle.generate(PypiProject(project.name), whole, now=at)
    return [*found, KnowledgeObject.from_bundle(bundle)]


def farewell(name: str, said: Iterable[RID]) -> list[KnowledgeObject]:
    """Return the news that a project is gone with all its files."""
    return [*(_gone(rid) for rid in sorted(said)), _gone(PypiProject(name))]


def _gone(rid: RID) -> KnowledgeObject:
    return KnowledgeObject.from_rid(rid, EventType.FORGET)
