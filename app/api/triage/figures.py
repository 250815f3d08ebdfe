"""The last hour in numbers and charts: rates, latency, stages, rejections, drift, feedback."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from app.api.triage.charts import (
    WIDTH,
    Chart,
    Layer,
    Tick,
    highest,
    levels,
    line,
    nice_ceiling,
    percentages,
    stacked_bars,
)
from app.api.triage.words import (
    Moment,
    count,
    counted,
    drift_word,
    milliseconds,
    moment,
    percent,
    plain,
)
from app.api.triage.workers import FAIR, GOOD, POOR, Fact
from app.serving.board import Failure
from app.serving.traffic import DRIFT_NEEDS_ROWS, Span, Traffic
from app.telemetry.drift import DRIFTED_FROM, MOVING_FROM
from app.telemetry.recent import MINUTES
from app.telemetry.tally import FAILED, OUTCOMES, REJECTED

ANSWERS = tuple(outcome for outcome in OUTCOMES if outcome not in (REJECTED, FAILED))
PSI_SHOWN = 0.5
"""Where the bar of a drifting feature ends; beyond it the number tells."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a list with a bar: `share` of the full width, in percent."""

    name: str
    detail: str
    figure: str
    share: float
    tone: str = ""


@dataclass(frozen=True, slots=True)
class FailureLine:
    """One distinct failure of all workers."""

    what: str
    times: str
    since: Moment | None
    last: Moment | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Drift:
    """Features by how far they have moved; `note` says what it rests on."""

    note: str
    bars: tuple[Bar, ...]


def tiles(traffic: Traffic, now: float) -> tuple[Fact, ...]:
    """The numbers one looks at first."""
    hour = traffic.hour
    total = sum(hour.outcomes.values())
    failed, rejected = hour.outcomes[FAILED], hour.outcomes[REJECTED]
    last_minute = traffic.minutes.get(int(now // 60 - 1) * 60)
    rate = sum(last_minute.outcomes.values()) if last_minute else 0
    return (
        Fact("readings a minute", count(rate), note=f"{count(total)} in the last hour"),
        Fact("latency, median", milliseconds(hour.p50_ms), note=f"99 % within {milliseconds(hour.p99_ms)}"),
        Fact("not answered", count(failed), POOR if failed else "", _of_all(failed, total)),
        Fact("rejected", count(rejected), note=_of_all(rejected, total)),
        Fact("accuracy", percent(hour.accuracy), note=f"precision {percent(hour.precision)}, "
             f"recall {percent(hour.recall)}; {_feedback(hour.feedback)}"),
    )  # fmt: skip


def charts(traffic: Traffic, now: float) -> tuple[Chart, ...]:
    """Rate, latency and the stages' shares over the last hour, minute by minute."""
    starts = [(int(now // 60) - MINUTES + 1 + place) * 60 for place in range(MINUTES)]
    spans = [traffic.minutes.get(start) for start in starts]
    times = tuple(
        Tick((place + 0.5) * WIDTH / MINUTES, f"{datetime.fromtimestamp(starts[place], UTC):%H:%M}")
        for place in (0, MINUTES // 2, MINUTES - 1)
    )
    return _rate(traffic, spans, times), _latency(traffic, spans, times), _stages(traffic, spans, times)


def rejections(violations: Mapping[str, int]) -> tuple[Bar, ...]:
    """What breaks the contract most often."""
    most = max(violations.values(), default=1)
    found = []
    for violation, times in violations.items():
        feature, _, code = violation.rpartition(" ")
        found.append(Bar("no feature" if feature == "none" else feature, plain(code), count(times), 100 * times / most))
    return tuple(found)


def drift(traffic: Traffic) -> Drift:
    """How far each feature lies from training, the farthest first."""
    rows = counted(traffic.drift_rows, "reading")
    if traffic.drift is None:
        return Drift(f"It takes {DRIFT_NEEDS_ROWS} readings to tell; so far {rows} in the last hour.", ())
    by_distance = sorted(traffic.drift.items(), key=lambda entry: -entry[1])
    bars = [
        Bar(name, drift_word(psi), f"{psi:.3f}", 100 * min(psi, PSI_SHOWN) / PSI_SHOWN, _drift_tone(psi))
        for name, psi in by_distance
    ]
    return Drift(
        f"Population stability index of {rows} in the last hour against training: "
        f"moving from {MOVING_FROM}, drifted from {DRIFTED_FROM}.",
        tuple(bars),
    )


def failure_lines(workers: Iterable[Sequence[Failure]], now: float) -> tuple[FailureLine, ...]:
    """The failures of all workers, equal ones as one, the newest first."""
    together: dict[str, Failure] = {}
    for failure in (entry for failures in workers for entry in failures):
        known = together.get(failure.what)
        together[failure.what] = _merged(known, failure) if known else failure
    newest_first = sorted(together.values(), key=lambda entry: -entry.last)
    return tuple(
        FailureLine(
            entry.what,
            "once" if entry.count == 1 else f"{count(entry.count)} times",
            moment(entry.since, now),
            moment(entry.last, now),
            entry.request_id,
        )
        for entry in newest_first
    )


def _merged(one: Failure, other: Failure) -> Failure:
    older, newer = sorted((one, other), key=lambda entry: entry.last)
    since, request_id = min(one.since, other.since), newer.request_id or older.request_id
    return Failure(one.what, since, newer.last, one.count + other.count, request_id)


def _rate(traffic: Traffic, spans: Sequence[Span | None], times: tuple[Tick, ...]) -> Chart:
    series = [[_readings(span, outcome) for span in spans] for outcome in OUTCOMES]
    peak = max(sum(minute) for minute in zip(*series, strict=True))
    ceiling = nice_ceiling(peak)
    layers = [
        Layer(outcome, path, count(traffic.hour.outcomes[outcome]))
        for outcome, path in zip(OUTCOMES, stacked_bars(series, ceiling), strict=True)
    ]
    total = counted(sum(traffic.hour.outcomes.values()), "reading")
    summary = f"{total} in the last hour, at most {count(peak)} in one minute"
    return Chart("Readings", "a minute", summary, tuple(layers), levels(ceiling), times)


def _latency(traffic: Traffic, spans: Sequence[Span | None], times: tuple[Tick, ...]) -> Chart:
    p50 = [span.p50_ms if span else None for span in spans]
    p99 = [span.p99_ms if span else None for span in spans]
    ceiling = nice_ceiling(highest([*p50, *p99]))
    hour = traffic.hour
    layers = (
        Layer("median", line(p50, ceiling), milliseconds(hour.p50_ms)),
        Layer("p99", line(p99, ceiling), milliseconds(hour.p99_ms)),
    )
    summary = f"median {milliseconds(hour.p50_ms)}, 99 % within {milliseconds(hour.p99_ms)} in the last hour"
    return Chart("Latency", "ms", summary, layers, levels(ceiling), times, lines=True)


def _stages(traffic: Traffic, spans: Sequence[Span | None], times: tuple[Tick, ...]) -> Chart:
    series = [[_readings(span, stage) for span in spans] for stage in ANSWERS]
    answered = sum(traffic.hour.outcomes[stage] for stage in ANSWERS)
    part = {stage: traffic.hour.outcomes[stage] / answered if answered else None for stage in ANSWERS}
    layers = [
        Layer(stage, path, percent(part[stage]))
        for stage, path in zip(ANSWERS, stacked_bars(percentages(series), 100), strict=True)
    ]
    summary = ", ".join(f"{stage} {percent(part[stage])}" for stage in ANSWERS) + " of the answers in the last hour"
    return Chart("Who answered", "%", summary, tuple(layers), levels(100), times)


def _readings(span: Span | None, outcome: str) -> int:
    return span.outcomes[outcome] if span else 0


def _of_all(part: int, total: int) -> str:
    return f"{percent(part / total)} of the last hour" if total else "in the last hour"


def _feedback(number: int) -> str:
    return f"by feedback on {counted(number, 'prediction')}" if number else "no feedback in the last hour"


def _drift_tone(psi: float) -> str:
    return {"stable": GOOD, "moving": FAIR, "drifted": POOR}[drift_word(psi)]
