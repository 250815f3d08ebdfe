"""What a scoring came to, as a value; its names are those of `flask score --json`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import msgspec

from app.scoring.plan import Receipt


class RejectedFor(msgspec.Struct, frozen=True, kw_only=True):
    """Rows with one kind of problem; a row may have several."""

    feature: str | None
    code: str
    rows: int


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """All counts of a finished scoring."""

    output: str
    version: str
    files: int
    partitions: int
    resumed: int
    """Partitions that an earlier run had done."""
    rows: int
    scored: int
    anomalies: int
    stages: dict[str, int]
    """Scored rows by the stage that answered."""
    rejected: int
    reasons: list[RejectedFor]
    absent: dict[str, str]
    """Stages of the version that could not be used, and why."""
    failure: str | None
    """The first failure of a stage, after which the next one answered."""

    @property
    def rejected_share(self) -> float:
        """0 to 1."""
        return self.rejected / self.rows if self.rows else 0.0


@dataclass(slots=True)
class Totals:
    """Sums of receipts."""

    partitions: int = 0
    rows: int = 0
    anomalies: int = 0
    rejected: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str | None, str]] = field(default_factory=Counter)
    failure: str | None = None

    def add(self, receipt: Receipt) -> None:
        """One more partition."""
        self.partitions += 1
        self.rows += receipt.rows
        self.anomalies += receipt.anomalies
        self.rejected += receipt.rejected
        self.stages.update(receipt.stages)
        for feature, code, rows in receipt.problems:
            self.reasons[feature, code] += rows
        self.failure = self.failure or receipt.failure

    def summary(self, output: str, version: str, files: int, resumed: int, absent: dict[str, str]) -> Summary:
        """As a value."""
        return Summary(
            output=output,
            version=version,
            files=files,
            partitions=self.partitions,
            resumed=resumed,
            rows=self.rows,
            scored=self.rows - self.rejected,
            anomalies=self.anomalies,
            stages=dict(sorted(self.stages.items())),
            rejected=self.rejected,
            reasons=[
                RejectedFor(feature=feature, code=code, rows=rows)
                for (feature, code), rows in sorted(self.reasons.items(), key=lambda item: (-item[1], str(item[0])))
            ],
            absent=absent,
            failure=self.failure,
        )
