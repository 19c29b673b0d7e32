from __future__ import annotations

import pytest

from dpip.federation.rids import IpnsName, PypiFile, PypiProject, project_of
from dpip.ipfs.cid import LIBP2P_KEY
from dpip.ipfs.keys import PrivateKey
from dpip.koi import RID
from dpip.koi.errors import InvalidRid


def test_each_kind_is_read_as_what_it_is() -> None:
    project = RID.from_string("orn:pypi.project:demo-x")
    file = RID.from_string("orn:pypi.file:demo-x/demo_x-1.0.tar.gz")
    assert isinstance(project, PypiProject)
    assert isinstance(file, PypiFile)
    assert (file.name, file.filename) == ("demo-x", "demo_x-1.0.tar.gz")
    assert {project_of(project), project_of(file)} == {"demo-x"}
    assert str(PypiFile("demo-x", "demo_x-1.0.tar.gz")) == str(file)


def test_the_name_of_an_index_is_a_key() -> None:
    name = PrivateKey.from_seed(bytes(32)).name
    assert name.codec == LIBP2P_KEY
    assert project_of(IpnsName(name.encode("k"))) is None


@pytest.mark.parametrize(
    "text",
    [
        "orn:pypi.project:Demo",
        "orn:pypi.project:a_b",
        "orn:pypi.project:../x",
        "orn:pypi.file:demo",
        "orn:pypi.file:demo/",
        "orn:pypi.file:demo/..",
        "orn:pypi.file:demo/a/b",
        "orn:pypi.file:Demo/a.tar.gz",
        "orn:ipns.name:nothing",
    ],
)
def test_what_is_no_name_is_no_rid(text: str) -> None:
    with pytest.raises(InvalidRid):
        RID.from_string(text)
