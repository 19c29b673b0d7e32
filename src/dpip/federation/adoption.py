"""Whether a believed claim is newer than what the catalog has. Pure.

Serials decide where both sides have one and they differ: they are upstream's own count. Else time:
when the claimant heard it from its source, against when we heard from ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from dpip.federation.claims import ProjectClaim
    from dpip.mirror.catalog import PageRecord


def is_newer(claim: ProjectClaim, at: datetime, record: PageRecord | None) -> bool:
    """Say whether the claim, made at `at`, should take the place of the catalog's page."""
    if record is None:
        return True
    if None not in {claim.serial, record.serial} and claim.serial != record.serial:
        return (claim.serial or 0) > (record.serial or 0)
    return at.timestamp() > record.confirmed_at
