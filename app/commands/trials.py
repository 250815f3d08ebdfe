"""What commands need to show rows to a version, audited ones or those of files; one that does not pays nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.commands.report import audit_folder, period_of
from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from app.serving.chain import ChainBuilder

if TYPE_CHECKING:
    from app.replay.gate import Verdict
    from app.replay.results import Replay
    from app.scoring.results import Summary

# app.replay and app.scoring are imported inside the functions: every `flask` command imports this module, and DuckDB is
# large.


@dataclass(frozen=True, slots=True)
class Window:
    """Which audited rows, as written on the command line."""

    audit: Path | None
    since: str | None
    until: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Trials:
    """Versions of `registry`, on the audit in `audit_dir` unless another is named."""

    schema: FeatureSchema
    registry: Registry
    builder: ChainBuilder
    audit_dir: Path | None
    max_batch_rows: int

    def replay(self, version: str, window: Window) -> Replay:
        """`version` beside the active one. Raises `ServiceError`."""
        from app.replay.replayer import Replayer

        folder = audit_folder(window.audit, self.audit_dir)
        period = period_of(window.since, window.until)
        replayer = Replayer(self.schema, self.registry, self.builder, self.max_batch_rows)
        return replayer.replay(version, folder, period, window.limit)

    def judge(
        self, version: str, window: Window, *, max_changed: float, max_accuracy_drop: float, min_rows: int
    ) -> Verdict:
        """What the gate says to `version`. Raises `ServiceError`."""
        from app.replay.gate import Limits, judge

        limits = Limits(
            max_changed=max_changed,
            max_accuracy_drop=max_accuracy_drop,
            min_rows=min_rows,
            deadline_ms=self.builder.primary_deadline_s * 1000,
        )
        return judge(version, self.registry, lambda: self.replay(version, window), limits)

    def score(self, **request: Any) -> Summary:
        """Files scored, as an `app.scoring.run.Request` of these members asks for. Raises `ServiceError`."""
        from app.scoring.run import FileScorer, Request

        return FileScorer(self.schema, self.registry, self.builder.rule).score(Request(**request))
