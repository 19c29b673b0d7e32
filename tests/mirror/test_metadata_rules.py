"""What releases say of themselves, judged; and no more of it read than is needed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mirror.conftest import Mirror
from tests.mirror.follower import Follower
from tests.simple.fixture_index import sdist, zip_bytes

from dpip.mirror.metadata_rules import FIELDS, read_rules, values_of
from dpip.simple.repository import FileNotFound

FLASK = b"""Metadata-Version: 2.4
Name: flask
Version: 3.1
Summary: A simple framework
License-Expression: BSD-3-Clause
Keywords: web,wsgi
Classifier: Framework :: Flask
Classifier: License :: OSI Approved :: BSD License
Requires-Python: >=3.9
Requires-Dist: click>=8
Project-URL: Source, https://source.invalid/flask

MIT is not its licence.
"""


def excludes(table: dict[str, Any], body: bytes = FLASK) -> str | None:
    rules = read_rules(table)
    assert rules is not None
    return rules.excludes(values_of(body))


@pytest.mark.parametrize(
    ("table", "kept"),
    [
        ({"license": "BSD*"}, True),
        ({"license": "bsd license"}, True),
        ({"license": ["MIT*", "Apache*"]}, False),
        ({"license": "!BSD*"}, False),
        ({"license": "!GPL*"}, True),
        ({"classifier": "Framework :: *"}, True),
        ({"classifier": ["Framework :: *", "!License :: OSI*"]}, False),
        ({"classifier": "Framework :: *", "license": "MIT"}, False),
        ({"keywords": "WSGI"}, True),
        ({"requires-python": "3.9"}, True),
        ({"requires-python": "3.8"}, False),
        ({"requires-python": ["3.8", "3.12"]}, True),
        ({"requires-dist": "!click*"}, False),
        ({"project-url": "*source.invalid*"}, True),
        ({"author": "*"}, False),
        ({"author": "!somebody"}, True),
    ],
)
def test_rules(table: dict[str, Any], kept: bool) -> None:
    assert (excludes(table) is None) == kept


def test_reasons_name_the_field() -> None:
    assert excludes({"license": ["MIT*", "ISC"]}) == "its license is not MIT* or ISC"
    assert excludes({"keywords": "!web"}) == "its keywords is web"


def test_no_bound_on_python_allows_all() -> None:
    assert excludes({"requires-python": "3.5"}, b"Name: x\n") is None
    assert excludes({"requires-python": "3.5"}, b"Name: x\nRequires-Python: nonsense\n") is None


@given(st.binary(max_size=400))
def test_any_bytes_have_values(body: bytes) -> None:
    assert set(values_of(body)) == set(FIELDS)


class Releases(Follower):
    """Wheels that have a licence each."""

    def licensed(self, project: str, version: str, licence: str, **more: Any) -> None:
        info = f"{project}-{version}.dist-info"
        metadata = f"Name: {project}\nVersion: {version}\nLicense: {licence}\n".encode()
        data = zip_bytes({f"{project}.py": b"", f"{info}/METADATA": metadata})
        filename = f"{project}-{version}-py3-none-any.whl"
        file = self.mirror.index.add(project, filename, data, **more)
        self.mirror.index.files[f"{file.url}.metadata"] = metadata
        self.change(project, last_serial=int(version.split(".", maxsplit=1)[0]))

    def read(self) -> int:
        asked = self.mirror.index.asked
        return sum(count for url, count in asked.items() if url.endswith(".metadata"))


@pytest.fixture
def releases(mirror: Mirror) -> Releases:
    return Releases(mirror)


MIT: dict[str, Any] = {"metadata": {"license": "MIT"}}


def test_releases_are_judged_and_rules_that_change_judge_again(releases: Releases) -> None:
    for version, licence in (("1.0", "MIT"), ("2.0", "GPL"), ("3.0", "MIT")):
        releases.licensed("a", version, licence, core_metadata={})
    done = releases.sync(MIT)
    assert (done.done, done.files) == (1, 2)
    assert releases.listed("a") == ["a-1.0-py3-none-any.whl", "a-3.0-py3-none-any.whl"]
    assert not releases.gone("a"), "it was never offered"
    assert releases.read() == 3
    releases.sync({"metadata": {"license": ["GPL"]}})
    assert releases.listed("a") == ["a-2.0-py3-none-any.whl"]
    assert releases.gone("a") == dict.fromkeys(
        ["a-1.0-py3-none-any.whl", "a-3.0-py3-none-any.whl"], "filtered"
    )
    assert releases.read() == 3, "what was read once is kept"
    releases.sync()
    assert len(releases.listed("a")) == 3


def test_stricter_rules_hold_with_upstream_down(releases: Releases) -> None:
    for version, licence in (("1.0", "MIT"), ("2.0", "GPL")):
        releases.licensed("a", version, licence, core_metadata={})
    anything = {"allow": ["a"], "metadata": {"license": "*"}}
    releases.sync(anything)
    assert len(releases.listed("a")) == 2
    releases.mirror.index.down = True
    releases.sync(anything | MIT)
    assert releases.listed("a") == ["a-1.0-py3-none-any.whl"]


def test_only_as_much_is_read_as_the_newest_releases_need(releases: Releases) -> None:
    for number in range(1, 41):
        licence = "GPL" if number in {40, 38} else "MIT"
        releases.licensed("a", f"{number}.0", licence, core_metadata={})
    releases.sync(MIT | {"latest": 2})
    assert releases.listed("a") == ["a-37.0-py3-none-any.whl", "a-39.0-py3-none-any.whl"]
    assert releases.read() == 8


def test_metadata_comes_from_the_wheel_where_there_is_no_file_of_it(releases: Releases) -> None:
    releases.licensed("a", "1.0", "MIT")
    releases.licensed("a", "2.0", "GPL")
    releases.sync(MIT)
    assert releases.listed("a") == ["a-1.0-py3-none-any.whl"]
    releases.mirror.index.ranges = False
    releases.licensed("a", "3.0", "MIT")
    releases.sync(MIT)
    assert len(releases.listed("a")) == 2


def test_a_source_release_follows_its_wheel_or_speaks_for_itself(releases: Releases) -> None:
    releases.licensed("a", "1.0", "MIT", core_metadata={})
    for version in ("1.0", "2.0", "3.0"):
        archive = sdist("a", version)
        releases.mirror.index.add("a", archive.filename, archive.content)
    broken = releases.mirror.index.add("a", "a-4.0.tar.gz", b"no archive at all")
    releases.change("a", last_serial=5)
    done = releases.sync({"metadata": {"license": "*"}})
    assert done.failed == 0
    assert releases.listed("a") == ["a-1.0-py3-none-any.whl", "a-1.0.tar.gz"]
    releases.sync({"metadata": {"license": "!GPL"}})
    assert broken.filename not in releases.listed("a")
    assert len(releases.listed("a")) == 4
    asked = releases.mirror.index.asked["http://index.invalid/files/a-3.0.tar.gz"]
    assert asked == 1, "what was fetched to be judged is what is stored"
    with pytest.raises(FileNotFound):
        asyncio.run(releases.mirror.files().metadata(sdist("a", "2.0").sha256, "a-2.0.tar.gz"))


def test_a_wheel_that_is_none_is_left_out_and_stops_nobody(releases: Releases) -> None:
    releases.licensed("a", "1.0", "MIT", core_metadata={})
    releases.release("a", "2.0", 2)
    assert releases.sync(MIT).failed == 0
    assert releases.listed("a") == ["a-1.0-py3-none-any.whl"]


def test_files_of_a_closure_are_not_judged(releases: Releases) -> None:
    releases.licensed("a", "1.0", "GPL", core_metadata={})
    releases.sync(MIT, closure={"a": frozenset({"a-1.0-py3-none-any.whl"})})
    assert releases.listed("a")
    assert not releases.read()


def test_upstream_failing_in_between_is_tried_again(releases: Releases) -> None:
    releases.licensed("a", "1.0", "MIT")
    index = releases.mirror.index
    fetch = index.fetch

    async def once(name: str, known: Any = None) -> Any:
        found = await fetch(name, known)
        index.down = True
        return found

    index.fetch = once  # type: ignore[method-assign]
    assert releases.sync(MIT | {"allow": ["a"]}).failed == 1
    assert not releases.listed("a")
    index.down = False
    index.fetch = fetch  # type: ignore[method-assign]
    releases.mirror.clock.time += 5
    assert releases.sync(MIT | {"allow": ["a"]}).done == 1
    assert releases.listed("a")


def test_a_question_through_rules_is_judged_too(releases: Releases) -> None:
    from dpip.mirror.judging import Judging, from_files
    from dpip.mirror.scope import Scope
    from dpip.mirror.selected import Selected
    from dpip.mirror.selection import read_selection

    releases.licensed("a", "1.0", "GPL")
    m = releases.mirror

    async def ask() -> Any:
        scope = Scope(read_selection(MIT, lambda _: ""))
        judging = Judging(m.catalog, from_files(m.files))
        return await Selected(m.index, lambda: scope, m.catalog, judging).fetch("a")

    found = asyncio.run(ask())
    assert found.project == replace(m.index.pages["a"], files=())
    assert found.left_out == {"a-1.0-py3-none-any.whl": "its license is not MIT"}
