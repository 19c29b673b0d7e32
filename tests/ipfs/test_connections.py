"""Connections to one host that is dialled by somebody who knows better where it is."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dpip.ipfs.connections import Connections, Request

NAME = "neighbour.example"


class Echo(BaseHTTPRequestHandler):
    """Answers with the Host header that it was sent."""

    def log_message(self, *args: Any) -> None: ...

    def do_GET(self) -> None:
        body = self.headers["Host"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def echoing(context: ssl.SSLContext | None = None) -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Echo)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate of NAME, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(made.public_bytes(pem) + private)
    return path


def here(host: str, port: int, seconds: float) -> socket.socket:
    assert host in {NAME, "other.example"}
    return socket.create_connection(("127.0.0.1", port), seconds)


def asked(connections: Connections) -> str:
    with connections.exchange(Request("GET", "/")) as response:
        return response.read().decode()


def test_the_host_stays_the_one_that_was_named() -> None:
    with echoing() as port:
        connections = Connections(f"http://{NAME}:{port}", dial=here)
        assert asked(connections) == f"{NAME}:{port}"
        assert asked(connections) == f"{NAME}:{port}"
        connections.close()


def test_the_certificate_has_to_be_of_the_host_that_was_named(certificate: Path) -> None:
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=str(certificate))
    with echoing(serving) as port:
        right = Connections(f"https://{NAME}:{port}", tls=trusting, dial=here)
        assert asked(right) == f"{NAME}:{port}"
        right.close()
        wrong = Connections(f"https://other.example:{port}", tls=trusting, dial=here)
        with pytest.raises(ssl.SSLCertVerificationError):
            asked(wrong)
        wrong.close()
