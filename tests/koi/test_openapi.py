from __future__ import annotations

import http.client
import json
from pathlib import Path

from tests.koi.nodes import full_node

import dpip.koi
from dpip.koi.openapi import document
from dpip.koi.responder import REQUESTS

COMMITTED = Path(dpip.koi.__file__).parent / "openapi.json"


def test_the_committed_document_is_the_generated_one() -> None:
    assert json.loads(COMMITTED.read_text("utf-8")) == document(), "run `make openapi`"


def test_every_endpoint_is_described() -> None:
    paths = document()["paths"]
    assert set(paths) == {*REQUESTS, "/events/broadcast", "/node"}
    for path in REQUESTS:
        responses = paths[path]["post"]["responses"]
        assert {"200", "400", "413", "422", "503"} <= set(responses)


def test_references_lead_somewhere() -> None:
    whole = document()
    text = json.dumps(whole)
    names = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(whole["components"]["schemas"])


def test_it_is_served_with_a_page_that_needs_nothing_else(tmp_path: Path) -> None:
    with full_node(tmp_path / "node") as node:
        port = int((node.identity.profile.base_url or "").split(":")[2].split("/")[0])
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/koi-net/openapi.json")
        assert json.loads(connection.getresponse().read()) == document()
        connection.request("GET", "/koi-net/docs")
        response = connection.getresponse()
        page = response.read().decode()
        connection.close()
    assert (response.getheader("content-type") or "").startswith("text/html")
    assert "/events/broadcast" in page
    assert "http://" not in page
    assert "https://" not in page
    assert "src=" not in page
