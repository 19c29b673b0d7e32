"""A certificate authority for one test, and a server behind its certificate."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.simple.fixture_index import FixtureIndex


@dataclass(frozen=True)
class Authority:
    """Makes certificates that `bundle` vouches for."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    @property
    def bundle(self) -> Path:
        return self.folder / "ca.pem"

    def certify(self, name: str) -> Path:
        """Return a file with a certificate for 127.0.0.1, or for a client, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        made = _builder(_named(name), self.name, key).add_extension(
            x509.SubjectAlternativeName([address]), critical=False
        )
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path = self.folder / f"{name}.pem"
        public = made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        path.write_bytes(public + private)
        return path


def authority(folder: Path) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _named("authority")
    made = _builder(name, name, key).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (folder / "ca.pem").write_bytes(pem)
    return Authority(folder, key, name)


@contextmanager
def over_tls(index: FixtureIndex, server: Path, clients: Path | None = None) -> Iterator[str]:
    """Serve an index over TLS; `clients` is the bundle that their certificates must be from."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server)
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    with index:
        plain = index._server.socket
        index._server.socket = context.wrap_socket(plain, server_side=True)
        yield index.url.replace("http://", "https://")


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(1))
        .not_valid_after(now + dt.timedelta(1))
    )
