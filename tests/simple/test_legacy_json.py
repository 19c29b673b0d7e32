from __future__ import annotations

from dpip.simple.legacy_json import UNKNOWN_TIME, legacy
from dpip.simple.model import File, Project

SHA = "a" * 64


def file(filename: str, **more: object) -> File:
    return File(filename, "", {"sha256": SHA}, **more)  # type: ignore[arg-type]


def test_the_old_form_has_releases_by_version() -> None:
    files = (
        file("thing-1.0.tar.gz", size=7, upload_time="2026-01-02T03:04:05.678901Z", yanked=""),
        file("thing-2.0-py3-none-any.whl", size=8, requires_python=">=3.9"),
        file("thing-3.0rc1-py3-none-any.whl"),
    )
    project = Project("thing", files, versions=("0.1", "1.0", "2.0", "3.0rc1"))
    old = legacy(project, "https://host", 42)
    assert old["last_serial"] == 42
    assert old["info"]["version"] == "2.0"
    assert list(old["releases"]) == ["0.1", "1.0", "2.0", "3.0rc1"]
    [first] = old["releases"]["1.0"]
    assert first["url"] == f"https://host/packages/{SHA}/thing-1.0.tar.gz"
    assert (first["upload_time"], first["packagetype"]) == ("2026-01-02T03:04:05", "sdist")
    assert first["yanked"]
    [wheel] = old["urls"]
    assert wheel["upload_time_iso_8601"] == UNKNOWN_TIME
    assert wheel["digests"] == {"sha256": SHA}


def test_files_that_nobody_can_check_are_left_out() -> None:
    assert legacy(Project("p", (File("p-1.tar.gz", ""),)), "", None)["releases"] == {}
