from __future__ import annotations

import pytest

from dpip.app.bypasses import Finding, find
from dpip.app.pip_settings import PipSettings

NODE = "http://127.0.0.1:4747"


def found(
    pip: dict[str, dict[str, str]] | None = None,
    environ: dict[str, str] | None = None,
    lines: list[str] | None = None,
) -> list[Finding]:
    return find(PipSettings(pip or {}), environ or {}, {"r.txt": lines or []}, NODE)


@pytest.mark.parametrize(
    ("section", "key", "bypasses"),
    [
        ("global", "find-links", True),
        (":env:", "find-links", True),
        ("install", "no-index", True),
        (":env:", "no-index", False),
        ("global", "index-url", False),
        ("global", "extra-index-url", False),
    ],
)
def test_pip_settings(section: str, key: str, bypasses: bool) -> None:
    (finding,) = found({section: {key: "value"}})
    assert finding.bypasses is bypasses


def test_harmless_settings_are_not_told() -> None:
    assert found({"global": {"timeout": "5", "index-url": f"{NODE}/simple/"}}) == []


def test_what_bypasses_comes_first() -> None:
    settings = {"global": {"index-url": "http://a.invalid", "find-links": "/wheels"}}
    assert [finding.bypasses for finding in found(settings)] == [True, False]


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://other.invalid/simple",
        "-i https://other.invalid/simple",
        "--extra-index-url=https://other.invalid/simple",
        "-f ./wheels",
        "--no-index",
        "thing @ https://other.invalid/thing.whl",
        "thing[extra]@https://other.invalid/thing.whl",
        "git+https://other.invalid/thing.git",
    ],
)
def test_requirements_lines_that_go_elsewhere(line: str) -> None:
    (finding,) = found(lines=["flask", line])
    assert (finding.where, finding.bypasses) == ("r.txt:2", True)


@pytest.mark.parametrize("line", ["flask>=2", "# --index-url x", "", "-r other.txt", "-e ."])
def test_requirements_lines_that_do_not(line: str) -> None:
    assert found(lines=[line]) == []


def test_credentials_are_never_shown() -> None:
    secret = "https://user:s3cret@other.invalid/simple"
    findings = found(
        {"global": {"index-url": secret, "extra-index-url": f"{secret} {secret}"}},
        {"UV_INDEX": secret},
        [f"--index-url {secret}", f"--extra-index-url={secret}", f"-f {secret}"],
    )
    assert len(findings) == 6
    assert "s3cret" not in repr(findings)
    assert "other.invalid" in repr(findings)
