"""Each worker's place on the board as a card, and which stage answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.api.triage.words import Moment, count, counted, moment
from app.model.stages import BASELINE, PRIMARY
from app.serving.board import Pulse, WorkerReport
from app.serving.health import DEGRADED, HEALTHY, UNHEALTHY

GOOD, FAIR, POOR = "good", "fair", "poor"
TONES: Mapping[str, str] = {HEALTHY: GOOD, DEGRADED: FAIR, UNHEALTHY: POOR}
"""How a status looks; it is always written out as well."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and a value; `tone` marks a value that is not as it should be."""

    name: str
    value: str
    tone: str = ""
    note: str = ""
    time: Moment | None = None


@dataclass(frozen=True, slots=True)
class StageLine:
    """One stage within one worker."""

    name: str
    state: str
    tone: str
    breaker_open: bool
    since: Moment | None
    facts: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class WorkerCard:
    """One worker."""

    pid: int
    status: str
    tone: str
    readiness: str
    readiness_tone: str
    stages: tuple[StageLine, ...]
    facts: tuple[Fact, ...]
    warnings: tuple[str, ...]


def worker_card(report: WorkerReport, pulse: Pulse, now: float) -> WorkerCard:
    """What a worker said of itself, as seen from Unix time `now`."""
    readiness = "draining" if report.draining else "ready" if report.ready else "not ready"
    abandoned = sum(state.abandoned_threads for state in report.stages.values())
    outcome = {None: "none yet", True: "", False: "failed"}[pulse.last_success]
    return WorkerCard(
        pid=report.pid,
        status=report.status,
        tone=TONES[report.status],
        readiness=readiness,
        readiness_tone=GOOD if report.ready else FAIR,
        stages=(*_present(report, now), *_absent(report)),
        facts=(
            Fact("version", report.model_version or "none, the rule alone", "" if report.model_version else FAIR),
            Fact("started", "", time=moment(report.started, now)),
            _passed(moment(report.self_test_last_success, now)),
            Fact("last prediction", outcome, POOR if pulse.last_success is False else "",
                 time=moment(pulse.last_prediction_time, now)),
            _zero_is_good("failures in a row", pulse.consecutive_failures),
            _zero_is_good("abandoned threads", abandoned),
            _zero_is_good("audit errors", report.audit_errors),
            _zero_is_good("log lines dropped", report.log_lines_dropped),
        ),
        warnings=tuple(report.warnings),
    )  # fmt: skip


def answering(report: WorkerReport) -> tuple[str, float] | None:
    """The stage that answers a worker's requests, and since when (Unix time); None where none does."""
    since = 0.0
    for name, state in report.stages.items():  # in the order in which they are asked
        since = max(since, state.since)
        if state.answering:
            return name, since
    return None


def who_answers(reports: Sequence[WorkerReport], now: float) -> tuple[Fact, ...]:
    """Per stage that answers somewhere: in how many workers, and since when all of these have done so."""
    if not reports:
        return (Fact("answering", "no worker has reported", POOR),)
    found = [answering(report) for report in reports]
    workers = counted(len(reports), "worker")
    facts = []
    for stage in dict.fromkeys(entry[0] for entry in found if entry):
        since = [entry[1] for entry in found if entry and entry[0] == stage]
        everywhere = len(since) == len(reports)
        where = "in every worker" if everywhere else f"in {len(since)} of {workers}"
        tone = GOOD if stage == PRIMARY else FAIR
        facts.append(Fact("answering", _title(stage), tone, f"{where}, since", moment(max(since), now)))
    silent = found.count(None)
    if silent:
        facts.append(Fact("answering", "Nothing", POOR, f"in {silent} of {workers}"))
    return tuple(facts)


def _present(report: WorkerReport, now: float) -> list[StageLine]:
    lines = []
    for name, state in report.stages.items():
        word, tone = ("answering", GOOD) if state.answering else ("not answering", POOR)
        facts = [] if state.breaker_open else ["breaker closed"]
        if name in report.scorers:
            facts.append(report.scorers[name])
        if state.consecutive_failures:
            facts.append(counted(state.consecutive_failures, "failure") + " in a row")
        if state.abandoned_threads:
            facts.append(counted(state.abandoned_threads, "abandoned thread"))
        since = moment(state.since, now)
        lines.append(StageLine(_title(name), word, tone, state.breaker_open, since, ", ".join(facts), state.reason))
    return lines


def _absent(report: WorkerReport) -> list[StageLine]:
    return [StageLine(_title(name), "absent", POOR, False, None, "", reason) for name, reason in report.absent.items()]


def _title(stage: str) -> str:
    return "Baseline rule" if stage == BASELINE else stage.capitalize()


def _passed(last: Moment | None) -> Fact:
    return Fact("self-test passed", "" if last else "never", "" if last else POOR, time=last)


def _zero_is_good(name: str, number: int) -> Fact:
    return Fact(name, count(number), FAIR if number else "")
