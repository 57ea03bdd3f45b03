"""The claims of all reports, by report. Read next: claim.py, what a claim and its verdict are; claims1.py."""

from __future__ import annotations

from . import claims1, claims2, claims3, claims4
from .claim import Claim

CLAIMS: dict[str, tuple[Claim, ...]] = {
    "r1": claims1.CLAIMS,
    "r2": claims2.CLAIMS,
    "r3": claims3.CLAIMS,
    "r4": claims4.CLAIMS,
}
