"""The table: one line per fault, printed and kept in the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.load import Summary
from tests.measured import put_between, setting

BEGIN, END = "<!-- chaos: begin -->", "<!-- chaos: end -->"
_HEADER = (
    "| fault | requests | failed | failed with retry | wrong | unlabelled | p99, ms | recovery, s | what was seen |",
    "|---|--:|--:|--:|--:|--:|--:|--:|---|",
)


@dataclass(frozen=True, slots=True)
class Result:
    """What one fault did to the service."""

    fault: str
    summary: Summary
    recovery_s: float | None
    notes: Sequence[str]
    shortfalls: Sequence[str]
    """Expectations that were not met."""
    delays: Sequence[str]
    """The same of times; a shared machine may be to blame."""
    seconds: float
    skipped: str | None = None

    def line(self) -> str:
        """As a row of the table."""
        if self.skipped is not None:
            return f"| {self.fault} | | | | | | | | not run: {self.skipped} |"
        seen = [*self.notes, *(f"**falls short: {what}**" for what in (*self.shortfalls, *self.delays))]
        one = self.summary
        cells = [
            self.fault, f"{one.requests:,}", one.failures, one.failures_with_retry, one.wrong, one.unlabelled,
            f"{one.p99_ms:.1f}", "" if self.recovery_s is None else f"{self.recovery_s:.2f}", "; ".join(seen),
        ]  # fmt: skip
        return "| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |"


def markdown(results: Sequence[Result]) -> str:
    """The whole table, with the sum of what the suite is about."""
    total = sum(result.summary.failures + result.summary.failures_with_retry for result in results)
    requests = sum(result.summary.requests for result in results)
    return "\n".join(
        [*_HEADER, *(result.line() for result in results), "", f"{total} of {requests:,} valid requests failed."]
    )


def write(results: Sequence[Result], document: Path) -> None:
    """Puts the table between its markers."""
    put_between(BEGIN, END, f"{setting()}\n\n{markdown(results)}", document)
