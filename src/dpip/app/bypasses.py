"""What would make a package tool go around the node, found by looking and never by changing.

Deciding what bypasses is apart from gathering it: `find` takes pip's settings, the
environment and the lines of requirements files as values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dpip.app.pip_settings import PipSettings


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. `bypasses` says whether files can come past the node."""

    where: str
    what: str
    effect: str
    bypasses: bool


_PIP_OPTIONS: dict[str, tuple[str, bool]] = {
    "index-url": ("the node uses it as its upstream", False),
    "extra-index-url": ("not asked under dpip: give its names a route in the node instead", False),
    "find-links": ("pip takes files from there past the node", True),
    "no-index": ("read from pip.conf, pip asks no index at all, not even the node", True),
    "isolated": ("pip ignores the environment, and with it the node", True),
    "proxy": ("pip may ask this proxy for the node's address", True),
}
_VARIABLES: dict[str, tuple[str, bool]] = {
    "UV_FIND_LINKS": ("uv takes files from there past the node", True),
    "UV_INDEX": ("not passed on by `dpip run`", False),
    "UV_EXTRA_INDEX_URL": ("not passed on by `dpip run`", False),
    "UV_NO_INDEX": ("uv asks no index at all, not even the node", True),
    "UV_OFFLINE": ("uv uses its own cache only", True),
    "UV_CONFIG_FILE": ("indexes named in this file are asked past the node", True),
}
_LINE = re.compile(
    r"(?P<option>--index-url|--extra-index-url|--find-links|--no-index|-i|-f)(?:[=\s]+(?P<v>\S+))?"
)
_DIRECT = re.compile(r"^[A-Za-z0-9._-]+(?:\[[^\]]*\])?\s*@\s*(\S+)|^((?:git|hg|svn|bzr)\+\S+)")


def find(
    settings: PipSettings,
    environ: Mapping[str, str],
    requirements: Mapping[str, Iterable[str]],
    node_url: str,
) -> list[Finding]:
    """Return everything that is worth knowing, what bypasses the node first."""
    found = [
        *_in_pip(settings, node_url),
        *_in_environment(environ),
        *(f for name, lines in requirements.items() for f in _in_lines(name, lines, node_url)),
    ]
    return sorted(found, key=lambda finding: not finding.bypasses)


def _in_pip(settings: PipSettings, node_url: str) -> Iterator[Finding]:
    for section, values in settings.values.items():
        for key, value in values.items():
            effect, bypasses = _PIP_OPTIONS.get(key, ("", False))
            if not effect or value.startswith(node_url):
                continue
            if key == "no-index" and section == ":env:":
                effect, bypasses = "not passed on under dpip", False
            where = f"PIP_{_variable(key)}" if section == ":env:" else f"pip config {section}.{key}"
            yield Finding(where, _shown(value), effect, bypasses)


def _in_environment(environ: Mapping[str, str]) -> Iterator[Finding]:
    for name, (effect, bypasses) in _VARIABLES.items():
        if value := environ.get(name):
            yield Finding(name, _shown(value), effect, bypasses)


def _in_lines(name: str, lines: Iterable[str], node_url: str) -> Iterator[Finding]:
    for number, line in enumerate(lines, 1):
        text = line.strip()
        where = f"{name}:{number}"
        if (option := _LINE.match(text)) and node_url not in text:
            yield Finding(where, _shown(text), "this line wins over the node", True)
        elif option is None and (direct := _DIRECT.match(text)):
            target = direct[1] or direct[2]
            yield Finding(where, _shown(target), "fetched from there, past the node", True)


def _variable(key: str) -> str:
    return key.replace("-", "_").upper()


def _shown(text: str) -> str:
    """Return text with the credentials of its URLs left out."""
    return " ".join(_without_credentials(word) for word in text.split())


def _without_credentials(word: str) -> str:
    scheme, separator, _ = word.partition("://")
    if not separator or "@" not in word:
        return word
    prefix = scheme.rpartition("=")[0]
    url = urlsplit(word[len(prefix) + 1 :] if prefix else word)
    clean = urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2]))
    return f"{prefix}={clean}" if prefix else clean
