from __future__ import annotations

import pytest

from dpip.resolve.requirement import InvalidRequirement
from dpip.resolve.requirements_file import BadLine, Inputs, decoded, given, read


def inputs(files: dict[str, str], **environ: str) -> Inputs:
    return read("r.txt", files.__getitem__, working_directory="/here", environ=environ)


def wanted(files: dict[str, str], **environ: str) -> list[str]:
    return [str(each.requirement) for each in inputs(files, **environ).requirements]


def test_comments_continuations_and_blank_lines() -> None:
    text = "# top\n\nflask \\\n  >=2  # why\nurllib3#not-a-comment-but-no-name\n"
    with pytest.raises(InvalidRequirement) as caught:
        inputs({"r.txt": text})
    assert "r.txt, line 5" in caught.value.message
    assert wanted({"r.txt": "# top\n\nflask \\\n  >=2  # why\n"}) == ["flask>=2"]


def test_where_a_requirement_stands() -> None:
    found = inputs({"r.txt": "a\n\nb\\\n==1\nc"}).requirements
    assert [each.origin for each in found] == ["r.txt, line 1", "r.txt, line 3", "r.txt, line 5"]


def test_nested_files_are_relative_to_the_one_that_names_them() -> None:
    files = {
        "r.txt": "-r sub/more.txt\n",
        "sub/more.txt": "a\n-c limits.txt",
        "sub/limits.txt": "b<2",
    }
    found = inputs(files)
    assert [str(each.requirement) for each in found.requirements] == ["a"]
    assert [str(each.requirement) for each in found.constraints] == ["b<2"]


def test_nested_urls() -> None:
    files = {
        "r.txt": "-r https://host/d/a.txt",
        "https://host/d/a.txt": "-r b.txt",
        "https://host/d/b.txt": "x",
    }
    assert wanted(files) == ["x"]


def test_a_file_that_includes_itself() -> None:
    with pytest.raises(BadLine, match="includes itself"):
        inputs({"r.txt": "-r s.txt", "s.txt": "--requirement=r.txt"})


def test_options() -> None:
    found = inputs(
        {
            "r.txt": "-i https://one/simple\n--extra-index-url=https://two/simple\n-f ./wheels\n"
            "--pre --no-binary :all:\n--no-binary=:none:,Foo_Bar\n--only-binary a,b\n"
            "--require-hashes\n--trusted-host h\n--no-index"
        }
    )
    assert found.index_url == "https://one/simple"
    assert found.extra_index_urls == ["https://two/simple"]
    assert found.find_links == ["./wheels"]
    assert found.all_releases == [":all:"]
    assert found.no_binary == ["foo-bar"]
    assert found.only_binary == ["a", "b"]
    assert found.require_hashes
    assert found.no_index


@pytest.mark.parametrize(
    ("lines", "no_binary", "only_binary"),
    [
        (["--no-binary a", "--only-binary a"], [], ["a"]),
        (["--no-binary a,b", "--only-binary :all:"], [], [":all:"]),
        (["--only-binary :all:", "--no-binary a"], ["a"], [":all:"]),
        (["--no-binary :all:,:none:,a"], ["a"], []),
    ],
)
def test_the_last_word_on_a_name_counts(
    lines: list[str], no_binary: list[str], only_binary: list[str]
) -> None:
    found = inputs({"r.txt": "\n".join(lines)})
    assert (found.no_binary, found.only_binary) == (no_binary, only_binary)


def test_releases_by_name() -> None:
    text = "--all-releases=:all:\n--only-final a,b\n--all-releases b\n--no-require-hashes"
    found = inputs({"r.txt": text})
    assert (found.all_releases, found.only_final) == ([":all:", "b"], ["a"])


def test_links_lie_beside_the_file_that_names_them_if_they_are_there() -> None:
    files = {"r.txt": "-r sub/s.txt\n-f there", "sub/s.txt": "a\n-f here\n-f 'with space'"}
    there = {"sub/here", "sub/with space"}
    found = read(
        "r.txt", files.__getitem__, working_directory="/", environ={}, is_there=there.__contains__
    )
    assert found.find_links == ["sub/here", "sub/with space", "there"]


def test_a_comment_ends_a_continued_line() -> None:
    assert wanted({"r.txt": "a \\\n# and no more\nb\\\n#c\nd \\"}) == ["a", "b", "d"]


@pytest.mark.parametrize(
    "data",
    [
        "ü==1".encode(),
        "\ufeffü==1".encode(),
        "ü==1".encode("utf-16"),
        "ü==1".encode("utf-32"),
        "# -*- coding: latin-1 -*-\nü==1".encode("latin-1"),
    ],
)
def test_encodings(data: bytes) -> None:
    assert decoded(data).endswith("ü==1")


def test_an_encoding_that_nobody_knows() -> None:
    with pytest.raises(LookupError):
        decoded(b"# coding: klingon\na")


def test_hashes() -> None:
    found = inputs({"r.txt": "a==1 --hash=sha256:AB \\\n  --hash sha256:cd"}).requirements
    assert found[0].hashes == ("sha256:ab", "sha256:cd")
    assert str(found[0].requirement) == "a==1"


def test_variables_of_the_environment() -> None:
    assert wanted({"r.txt": "a @ https://${USER}:${token}@h/a.whl"}, USER="me") == [
        "a @ https://me:${token}@h/a.whl"
    ]


@pytest.mark.parametrize(
    ("line", "name", "url", "extras"),
    [
        ("./proj", "", "file:///here/proj", ()),
        (".", "", "file:///here", ()),
        ("./proj[b,a]", "", "file:///here/proj", ("a", "b")),
        ("../a b.whl", "", "file:///a%20b.whl", ()),
        ("dir/a-1-py3-none-any.whl", "", "file:///here/dir/a-1-py3-none-any.whl", ()),
        ("a-1.tar.gz", "", "file:///here/a-1.tar.gz", ()),
        ("https://h/a-1.zip#sha256=00", "", "https://h/a-1.zip#sha256=00", ()),
        ("git+https://h/a.git@v1#egg=Foo[x]", "foo", "git+https://h/a.git@v1#egg=Foo[x]", ("x",)),
        ("git+ssh://git@h/a.git", "", "git+ssh://git@h/a.git", ()),
        ("Foo @ file:///x/y", "foo", "file:///x/y", ()),
    ],
)
def test_direct_requirements(line: str, name: str, url: str, extras: tuple[str, ...]) -> None:
    found = given(line, working_directory="/here").requirement
    assert (found.name, found.url, found.extras) == (name, url, extras)


def test_direct_requirements_take_markers() -> None:
    found = given("./proj ; os_name == 'nt'", working_directory="/here").requirement
    assert (found.url, found.marker) == ("file:///here/proj", "os_name == 'nt'")


def test_editable() -> None:
    found = inputs({"r.txt": "-e ./proj[x]\n--editable=git+https://h/a#egg=a"}).requirements
    assert [each.editable for each in found] == [True, True]
    assert found[0].requirement.url == "file:///here/proj"
    assert found[0].requirement.extras == ("x",)


@pytest.mark.parametrize("line", ["--nonsense", "-r", "a --frob=1", "a ; b", "a b"])
def test_a_bad_line_names_its_place(line: str) -> None:
    with pytest.raises((BadLine, InvalidRequirement), match=r"r\.txt, line 2"):
        inputs({"r.txt": f"ok\n{line}"})
