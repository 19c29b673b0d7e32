"""How a project's page is asked for, to the letter.

Light enough to be known before the resolver is: `cli/early.py` sends the first such request.
"""

from dpip import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

USER_AGENT = f"dpip/{__version__}"
ACCEPT = (
    "application/vnd.pypi.simple.v1+json, "
    "application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
)
PAGE_HEADERS = {"Accept": ACCEPT, "Accept-Encoding": "gzip"}


def headers_of(request: "Mapping[str, str]") -> dict[str, str]:
    """Return the headers of a request with those that every request has."""
    return {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **request}


def written(host: str, target: str) -> bytes:
    """Return the request for a page that is not known yet, as `http.client` writes it."""
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers_of(PAGE_HEADERS).items()]
    return "\r\n".join([*lines, "", ""]).encode("ascii")
