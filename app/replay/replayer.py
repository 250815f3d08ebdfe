"""Shows audited traffic to a candidate and to the active version, both as they would serve now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from app.contract.schema import FeatureSchema
from app.errors import ReplayError
from app.model.registry import Registry
from app.model.stages import PRIMARY
from app.replay.audited import AuditedTraffic
from app.replay.comparison import Comparison, Verdicts
from app.replay.contender import Contender, contender
from app.replay.latency import BATCH_ROWS, measure
from app.replay.lines import AuditLines
from app.replay.results import Answerer, Latency, Replay, Side, Traffic
from app.reporting.period import Period
from app.reporting.report import files_of
from app.serving.chain import ChainBuilder


@dataclass(frozen=True, slots=True)
class Replayer:
    """Replays what was audited for `schema` through versions of `registry`."""

    schema: FeatureSchema
    registry: Registry
    builder: ChainBuilder
    max_batch_rows: int

    def replay(self, candidate: str, folder: Path, period: Period, limit: int | None = None) -> Replay:
        """`candidate` beside the active version on the rows audited in `folder`. Raises `ReplayError`, `ReportError`.

        The active version scores again, since the audited scores may be its fallback's or another version's.
        """
        version = self.registry.active()
        if version is None:
            raise ReplayError("no version is active, so there is nothing to compare with")
        lines = AuditLines(files_of(folder, Period(period.since)))
        traffic = AuditedTraffic(lines, self.schema, period)
        ours, theirs = (contender(name, self.registry, self.builder) for name in (version, candidate))
        comparison = Comparison(ours, theirs, self.schema.names)
        size = lines.size(Period(period.since)) + lines.size(period)
        with tqdm(total=size, unit="B", unit_scale=True, desc="replaying", delay=1, leave=False) as bar:
            labels = traffic.labels(bar.update)
            for chunk in traffic.chunks(labels, limit, bar.update):
                comparison.add(chunk)
        if not comparison.rows:
            raise ReplayError(_nothing(lines, traffic, folder))
        times: Sequence[Latency | None] = (None, None)
        if len(comparison.sample):
            times = measure((ours, theirs), comparison.sample, self.max_batch_rows)
        return Replay(
            traffic=_traffic(folder, period, lines, traffic, comparison, version),
            active=_side(ours, comparison.active, times[0]),
            candidate=_side(theirs, comparison.candidate, times[1]),
            changes=comparison.changes(),
            shift=comparison.shift(),
            batch_rows=BATCH_ROWS,
            largest_batch_rows=self.max_batch_rows,
        )


def _nothing(lines: AuditLines, traffic: AuditedTraffic, folder: Path) -> str:
    left_out = [
        f"{count:,} {what}"
        for count, what in (
            (traffic.other_features, "rows of another contract"),
            (lines.unreadable_lines, "unreadable lines"),
            (len(lines.unreadable_files), "unreadable files"),
        )
        if count
    ]
    found = f"; left out: {', '.join(left_out)}" if left_out else ""
    return f"no audited rows of the period in {folder} ({len(lines.files)} files){found}"


def _traffic(
    folder: Path, period: Period, lines: AuditLines, traffic: AuditedTraffic, comparison: Comparison, version: str
) -> Traffic:
    return Traffic(
        folder=str(folder),
        since=period.since,
        until=period.until,
        first=traffic.first,
        last=traffic.last,
        files=len(period.files(lines.files)),
        rows=comparison.rows,
        labelled=comparison.labelled,
        answered_otherwise=[
            Answerer(stage=stage, version=answerer, rows=rows)
            for (stage, answerer), rows in traffic.answered_by.most_common()
            if (stage, answerer) != (PRIMARY, version)
        ],
        other_features=traffic.other_features,
        unreadable_lines=lines.unreadable_lines,
        unreadable_files=lines.problems(),
    )


def _side(one: Contender, verdicts: Verdicts, latency: Latency | None) -> Side:
    return Side(
        version=one.version,
        threshold=one.stage.threshold,
        scorer=one.stage.scorer_name,
        anomalies=verdicts.anomalies,
        failed=one.failed,
        failure=one.failure,
        quality=verdicts.quality,
        latency=latency,
    )
