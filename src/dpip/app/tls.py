"""HTTPS with HTTP/2 beside the node's plain port, where a certificate is configured.

Kubo fetches over the network only from gateways that speak TLS and HTTP/2. Our own server
speaks HTTP/1.1, so this port is served by hypercorn (the extra `dpip[h2]`), with the same
application behind it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpip.errors import UsageError

if TYPE_CHECKING:
    import asyncio

    from dpip.settings import Settings


async def serve(application: Any, settings: Settings, stop: asyncio.Event) -> None:
    """Answer on `tls_port` until `stop` is set. Raises UsageError for a bad configuration."""
    config = configure(settings)
    from hypercorn.asyncio import serve as run

    async def stopped() -> None:
        await stop.wait()

    await run(application, config, shutdown_trigger=stopped, mode="asgi")


def configure(settings: Settings) -> Any:
    """Return hypercorn's configuration for these settings. Raises UsageError."""
    try:
        from hypercorn.config import Config
    except ImportError:
        raise UsageError(
            "HTTPS needs the hypercorn package", hint="install dpip with its extra: dpip[h2]"
        ) from None
    for name in ("tls_certificate", "tls_key"):
        path = getattr(settings, name)
        if not path or not Path(path).is_file():
            raise UsageError(f"setting {name}: there is no file {path!r}")
    config = Config()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    config.bind = [f"{host}:{settings.tls_port}"]
    config.certfile, config.keyfile = settings.tls_certificate, settings.tls_key
    config.alpn_protocols = ["h2", "http/1.1"]
    config.accesslog = None
    config.loglevel = "WARNING"
    config.graceful_timeout = 2
    # Kubo drops a gateway whose headers are large; these two say nothing that it needs.
    config.include_server_header = False
    config.include_date_header = True
    return config
