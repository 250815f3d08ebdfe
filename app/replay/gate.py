"""The gate before a promotion: a candidate that decides much otherwise, worse or too slowly, with figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from app.errors import BundleError, ReplayError, ReportError
from app.model.registry import Registry
from app.replay.results import Replay
from app.reporting.answers import percent

GOLDEN_ROWS = "golden rows"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate may do at most. Shares lie in 0..1."""

    max_changed: float
    max_accuracy_drop: float
    min_rows: int
    deadline_ms: float
    """For one row, and for the largest batch that the service accepts."""


class Criterion(msgspec.Struct, frozen=True):
    """One question to the candidate, answered with figures."""

    name: str
    passed: bool
    figures: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """All criteria; `replay` is None where it came to none."""

    version: str
    limits: Limits
    criteria: list[Criterion]
    replay: Replay | None = None

    @property
    def failed(self) -> list[Criterion]:
        return [criterion for criterion in self.criteria if not criterion.passed]

    @property
    def sound(self) -> bool:
        """Whether it may be activated by force: what is not the model it was made to be never is."""
        return all(criterion.passed for criterion in self.criteria if criterion.name == GOLDEN_ROWS)


def judge(version: str, registry: Registry, replay: Callable[[], Replay], limits: Limits) -> Verdict:
    """Verifies the version's files and golden rows and, where they are good, holds its replay against the limits.

    Raises `RegistryError` for a version that is not there.
    """
    try:
        manifest = registry.verify(version)
    except BundleError as error:
        return Verdict(version=version, limits=limits, criteria=[Criterion(GOLDEN_ROWS, False, str(error))])
    golden = Criterion(GOLDEN_ROWS, True, f"all {len(manifest.golden_rows)} reproduced")
    try:
        found = replay()
    except (ReplayError, ReportError) as error:
        return Verdict(version=version, limits=limits, criteria=[golden, Criterion("traffic", False, str(error))])
    return Verdict(version=version, limits=limits, criteria=[golden, *_held_against(found, limits)], replay=found)


def _held_against(replay: Replay, limits: Limits) -> Iterator[Criterion]:
    changes, candidate = replay.changes, replay.candidate
    yield Criterion(
        "traffic",
        replay.traffic.rows >= limits.min_rows,
        f"{replay.traffic.rows:,} audited rows, at least {limits.min_rows:,} needed",
    )
    yield Criterion(
        "answers",
        candidate.failed == 0,
        f"{candidate.failed:,} rows without a score: {candidate.failure}" if candidate.failed else "every row scored",
    )
    yield Criterion(
        "decisions",
        changes.share <= limits.max_changed,
        f"{changes.changed:,} of {changes.compared:,} changed ({percent(changes.share)}), "
        f"at most {percent(limits.max_changed)} allowed",
    )
    yield _accuracy(replay, limits)
    yield from _deadlines(replay, limits)


def _accuracy(replay: Replay, limits: Limits) -> Criterion:
    ours, theirs = replay.active.quality, replay.candidate.quality
    if ours.accuracy is None or theirs.accuracy is None:
        return Criterion("accuracy", True, "not judged: no feedback on these rows")
    wrong = [side.false_positives + side.false_negatives for side in (ours, theirs)]
    return Criterion(
        "accuracy",
        # Counted, since a difference of two shares carries rounding.
        wrong[1] - wrong[0] <= limits.max_accuracy_drop * theirs.feedback,
        f"{percent(theirs.accuracy)} beside {percent(ours.accuracy)} on {theirs.feedback:,} labelled rows, "
        f"at most {percent(limits.max_accuracy_drop)} less allowed",
    )


def _deadlines(replay: Replay, limits: Limits) -> Iterator[Criterion]:
    latency = replay.candidate.latency
    if latency is None:
        yield Criterion("deadline", False, "not measured: there is no row that both versions score")
        return
    largest = f"{replay.largest_batch_rows:,} rows"
    for what, taken_ms in (("one row", latency.one_row_us / 1000), (largest, latency.largest_batch_ms)):
        yield Criterion(
            f"deadline, {what}",
            taken_ms <= limits.deadline_ms,
            f"{taken_ms:.3g} ms, at most {limits.deadline_ms:g} ms allowed (PRIMARY_DEADLINE_MS)",
        )
