"""The recipe: a UnixFS directory from which an archive can be made again, bit for bit.

    about.json   format, size and sha256 of the archive, names of the encoders
    members/     what is in the archive, to browse; see the suffixes below
    plan         one row for each member, in archive order (see `plan`)
    times        the times that the rows leave out, in the same order

Everything is plain UnixFS, so any IPFS client can list, fetch, pin and collect it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import msgspec

from ..errors import InvalidArchive
from . import tars

ABOUT, MEMBERS, PLAN, TIMES = "about.json", "members", "plan", "times"
OPENED = "!gunzip"
"""After the name of a gzip file in `members`: this is what it inflates to."""
KEPT = "!deflate"
"""After a name in `members`: this is the compressed stream, which no encoder here writes."""
ZIP, TAR_GZ = "zip", "tar.gz"


@dataclass(frozen=True, slots=True)
class About:
    """What a recipe says of its archive.

    `end` is the zip's end record, or empty; `gzip` is the gzip header of a tar.gz, both in
    hexadecimal; `zeros` is how many zero bytes end the tar; `encoder` writes the tar's
    stream, counted from 1 as in the rows.
    """

    format: str
    size: int
    sha256: str
    encoders: tuple[str, ...]
    end: str = ""
    gzip: str = ""
    zeros: int = 0
    encoder: int = 0


def encode(about: About) -> bytes:
    """Return the text of `about.json`."""
    return msgspec.json.format(msgspec.json.encode(asdict(about)), indent=1) + b"\n"


def decode(text: bytes) -> About:
    """Read `about.json`. Raises InvalidArchive."""
    try:
        about = msgspec.json.decode(text, type=About)
        for digits in (about.sha256, about.end, about.gzip):
            bytes.fromhex(digits)
    except ValueError as error:
        raise InvalidArchive(f"damaged recipe: {error}") from None
    if about.size < 0 or not 0 <= about.zeros <= tars.MAX_END:
        raise InvalidArchive("damaged recipe: sizes out of range")
    return about
