"""Real releases from the index that pip uses, through the store and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.dedup import measure
from benchmarks.releases import SPANS, fetch


@pytest.mark.outside
@pytest.mark.timeout(900)
def test_two_releases_of_a_real_project_come_back_and_share(tmp_path: Path) -> None:
    (span,) = (span for span in SPANS if span.project == "setuptools")
    releases = fetch(span)[:4]
    assert [release.kind for release in releases] == ["sdist", "wheel"] * 2
    result = measure(span.project, releases, tmp_path)
    assert (result.equal, result.whole) == (4, 0)
    assert result.stored < 0.45 * sum(result.size.values())
    assert all(shares[1] < 0.17 for shares in result.fetched.values())
