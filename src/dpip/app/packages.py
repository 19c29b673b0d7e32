"""What package tools ask a node: pages, files, uploads, attestations, closures.

Whatever names projects is built twice: for readers, and for everybody else (`readers.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpip.app.dispatch import Lazily
from dpip.app.pip_settings import index_url
from dpip.app.readers import ForReaders, Shown
from dpip.federation.holdings import Holdings
from dpip.mirror.sources import PRIVATE
from dpip.simple.integrity import IntegrityApplication
from dpip.simple.server import SimpleApplication

if TYPE_CHECKING:
    from collections.abc import Callable

    from dpip.app.audience import Audience
    from dpip.app.dispatch import Application
    from dpip.app.index import Index
    from dpip.app.stored import Stored
    from dpip.mirror.files import Files
    from dpip.mirror.provenance import Provenances
    from dpip.mirror.repository import Pages
    from dpip.settings import Settings
    from dpip.simple.wrappers import RoutedPages

    Page = RoutedPages | Shown


def packages(
    settings: Settings,
    stored: Stored,
    index: Index,
    files: Files,
    *,
    audience: Audience,
    provenances: Provenances,
) -> dict[str, Application]:
    """Build the applications by the first segment of their path."""
    readers = audience.readers
    shown = Shown(index.pages, index.is_apart)

    def both(build: Callable[[Page], Application]) -> Application:
        full, public = Lazily(lambda: build(index.pages)), Lazily(lambda: build(shown))
        return ForReaders(readers, index.is_apart, full=full, public=public)

    simple = SimpleApplication(pages=index.pages, files=files)
    return {
        "simple": ForReaders(
            readers,
            index.is_apart,
            full=simple,
            public=SimpleApplication(pages=shown, files=files),
        ),
        "files": audience.files(
            Holdings(
                simple, files=files, archives=stored.contents, metadata=stored.catalog.metadata
            )
        ),
        "packages": audience.files(Lazily(lambda: _old_files(simple))),
        "pypi": both(_old_pages),
        "legacy": Lazily(lambda: _uploads(settings, stored, index)),
        "integrity": audience.files(
            ForReaders(
                readers,
                index.is_apart,
                full=IntegrityApplication(stored.private.attestations, provenances.of),
                public=IntegrityApplication(lambda _: None, provenances.of),
            )
        ),
        "resolve": both(lambda pages: _closures(settings, pages, files)),
    }


def _old_files(simple: SimpleApplication) -> Application:
    # The forms that programs which mirror an index still ask for.
    from dpip.simple.legacy_json import Packages

    return Packages(simple)


def _old_pages(pages: Page) -> Application:
    from dpip.simple.legacy_json import LegacyJson

    return LegacyJson(pages)


def _uploads(settings: Settings, stored: Stored, index: Index) -> Application:
    from dpip.mirror.uploads import PrivateUploads
    from dpip.simple.upload import UploadServer

    pages: Pages = index.sources.pages[PRIVATE]
    uploads = PrivateUploads(
        private=stored.private,
        archives=stored.archives,
        catalog=stored.catalog,
        pages=pages,
        rerouted=index.reroute,
        apart=index.apart,
    )
    return UploadServer(
        stored.private, uploads, stored.archives.scratch, max_file_size=settings.max_file_size
    )


def _closures(settings: Settings, pages: Page, files: Files) -> Application:
    """Build the closure endpoint; it builds source archives only for its own user."""
    from dpip.resolve.closure_server import ClosureApplication
    from dpip.resolve.node_builds import Builds

    builder = None
    if not settings.offline and settings.host in {"127.0.0.1", "::1", "localhost"}:
        builder = Builds(
            lambda: settings.index_url or index_url(settings.url), settings.home / "builds"
        )
    return ClosureApplication(pages=pages, files=files, builder=builder, validator=pages.validator)
