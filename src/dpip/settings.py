"""One frozen `Settings`: defaults < configuration file < environment < command line.

Reading is cheap enough for every command: one small TOML file, parsed only if present.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpip.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 4747
DEFAULT_INDEX: tuple[str, ...] = ()
"""The published indexes that a fresh dpip follows: whoever distributes it fills this in."""
ENVIRONMENT_PREFIX = "DPIP_"
CONFIG_NAME = "config.toml"
MIRROR_NAME = "mirror.toml"
"""In a home that is a mirror: what it keeps, see `dpip.mirror.selection`."""


def default_home() -> Path:
    """Return the platform's directory for dpip's state (used when DPIP_HOME is not set)."""
    import platformdirs

    return Path(platformdirs.user_data_dir("dpip", appauthor=False))


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be configured. Sizes are bytes, durations are seconds."""

    home: Path = field(default_factory=default_home)
    """Directory of everything that dpip keeps: catalog, archives, keys, log."""
    host: str = DEFAULT_HOST
    """Address that the node listens on; leave it on loopback unless others may use the node."""
    port: int = DEFAULT_PORT
    """Port that the node listens on; 0 takes a free one. A fixed port keeps pip's cache valid."""
    index_url: str | None = None
    """Upstream Simple API; None asks pip for the index that it is configured with."""
    offline: bool = False
    """Serve only what is stored; never ask upstream."""
    name: str = "dpip"
    """What the node calls itself."""
    first_contact: tuple[str, ...] = ()
    """Peers to meet first, each a URL or RID@URL, separated by commas."""
    index: tuple[str, ...] = DEFAULT_INDEX
    """Published indexes to follow before upstream, first wins: k51… or k51…@GATEWAY-URL."""
    public_url: str = ""
    """Base URL by which other nodes reach this one; empty: the address that it listens on."""
    peer_networks: tuple[str, ...] = ()
    """Private networks in which peers may be called, such as 10.0.0.0/8, separated by commas."""
    trusted_nodes: tuple[str, ...] = ()
    """Nodes whose word on public projects counts: node RIDs or their key hashes, by commas."""
    trusted_root: str = ""
    """File with the authorities and logs by which attestations are checked (sigstore's form)."""
    allow_unsigned: bool = False
    """Also speak with peers of KOI-net 1.0, which do not sign what they say."""
    private_nodes: tuple[str, ...] = ()
    """Nodes that may hear of private names: node RIDs or their key hashes, by commas."""
    private_readers: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks whose clients may read private projects; others need a token."""
    page_max_age: float = 300.0
    """How long a cached project page is served before it is revalidated."""
    upstream_timeout: float = 30.0
    """How long upstream may be silent before a request to it is given up."""
    max_page_size: int = 256 * 2**20
    """Largest project page that is accepted, after decompression."""
    max_file_size: int = 16 * 2**30
    """Largest distribution file that is accepted."""
    hot_size: int = 2 * 2**30
    """How much room whole, ready-to-send archives may take."""
    store_size: int = 0
    """How much room blocks and whole archives may take together; 0 sets no limit."""
    engine: str = "embedded"
    """Where blocks live: "embedded", or "kubo" for an IPFS daemon beside the node."""
    kubo_api: str = "http://127.0.0.1:5001"
    """Address of the IPFS daemon's RPC, for the engine "kubo"."""
    kubo_authorization: str = ""
    """Bearer token, or user:password, that the IPFS daemon's RPC asks for."""
    tls_certificate: str = ""
    """PEM file with the certificate chain; with it the node also serves HTTPS with HTTP/2."""
    tls_key: str = ""
    """PEM file with the certificate's private key."""
    tls_port: int = 4748
    """Port of HTTPS, where a certificate is configured."""

    @property
    def url(self) -> str:
        """Base URL of the node, without a trailing slash."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def load(
    flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Return the settings in force; flags that are None are taken as not given.

    Raises UsageError for an unknown key or a value of the wrong kind.
    """
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    environ = os.environ if environ is None else environ
    from_environment = _from_environment(environ)
    home = Path(given.get("home") or from_environment.get("home") or default_home()).expanduser()
    merged: dict[str, Any] = {**from_file(home / CONFIG_NAME), **from_environment, **given}
    merged["home"] = home
    return Settings(**{key: coerce(key, value) for key, value in merged.items()})


def field_types() -> dict[str, str]:
    """Return setting name to its declared type, as written above."""
    return {f.name: str(f.type) for f in dataclasses.fields(Settings)}


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    known = field_types()
    return {
        key: environ[ENVIRONMENT_PREFIX + key.upper()]
        for key in known
        if environ.get(ENVIRONMENT_PREFIX + key.upper())
    }


def origins(home: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return for each setting what gives it its value: "environment", "file" or "default"."""
    from_environment = _from_environment(os.environ if environ is None else environ)
    in_file = from_file(home / CONFIG_NAME)
    return {
        name: "environment"
        if name in from_environment
        else "file"
        if name in in_file
        else "default"
        for name in field_types()
    }


def from_file(path: Path) -> dict[str, Any]:
    """Return the settings that a configuration file holds; none if there is no file.

    Raises UsageError for a file that cannot be read and for unknown settings.
    """
    if not path.is_file():
        return {}
    import tomllib

    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    unknown = sorted(values.keys() - field_types().keys())
    if unknown:
        raise UsageError(f"{path}: unknown setting {unknown[0]!r}", hint="see `dpip config list`")
    return values


def _number(key: str, value: float) -> float:
    most = 65535 if key.endswith("port") else float("inf")
    if not 0 <= value <= most:
        raise UsageError(f"setting {key}: {value} is out of range")
    return value


_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def coerce(key: str, value: Any) -> Any:
    """Turn text from the environment or a file into the type that the field declares.

    Raises UsageError for an unknown setting or a value of another kind.
    """
    kinds = field_types()
    if key not in kinds:
        raise UsageError(f"unknown setting {key!r}", hint="see `dpip config list`")
    kind = kinds[key]
    try:
        if kind == "Path":
            return Path(value).expanduser()
        if kind == "bool":
            return value if isinstance(value, bool) else _boolean(str(value))
        if kind in {"int", "float"}:
            return _number(key, int(value) if kind == "int" else float(value))
        if kind.startswith("tuple"):
            parts = value.split(",") if isinstance(value, str) else value
            return tuple(text for text in (str(part).strip() for part in parts) if text)
    except (TypeError, ValueError):
        raise UsageError(f"setting {key}: {value!r} is not of type {kind}") from None
    return str(value) if value is not None else None


def _boolean(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise ValueError(text)
