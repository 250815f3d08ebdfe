"""What an audit found, item by item, and what that comes to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

Status = Literal["pass", "fail", "not checked"]

VERDICTS = (
    (50, "NOT READY: basics are missing; do not put this into production."),
    (80, "RISKY: it will run, and the first incident will find what is missing."),
    (100, "READY, BUT INCOMPLETE: close what is left, or know why not."),
)
"""Below each score, its verdict."""

READY = "PRODUCTION READY: everything on the list was seen to work."


class Finding(msgspec.Struct, frozen=True):
    """One item of the checklist; a sentence per fact."""

    section: str
    item: str
    status: Status
    seen: list[str]
    lacking: list[str]
    unchecked: list[str]


class Readiness(msgspec.Struct, frozen=True):
    """All items, in order."""

    subject: str
    """Whom it is about: an address, or the instance it started itself."""
    at: str
    drilled: bool
    score: int
    """Percent of the items that pass; one that was not checked does not."""
    verdict: str
    findings: list[Finding]


def score_of(findings: Sequence[Finding]) -> int:
    """Percent of all items that pass, rounded down, so that 100 is all of them."""
    return 100 * sum(finding.status == "pass" for finding in findings) // len(findings)


def verdict_of(score: int) -> str:
    """The score in words."""
    return next((verdict for below, verdict in VERDICTS if score < below), READY)
