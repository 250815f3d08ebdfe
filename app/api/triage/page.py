"""The triage page as a value: everything it shows, in words, in order. The template only puts tags around it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.api.triage.charts import Chart
from app.api.triage.figures import (
    Bar,
    Drift,
    FailureLine,
    charts,
    drift,
    failure_lines,
    rejections,
    tiles,
)
from app.api.triage.words import Moment, counted, moment
from app.api.triage.workers import FAIR, POOR, TONES, Fact, WorkerCard, who_answers, worker_card
from app.contract.problems import number_text
from app.contract.schema import Feature
from app.errors import RegistryError
from app.model.registry import HistoryEntry, Registry
from app.serving.health import DEGRADED, HEALTHY, UNHEALTHY, Health
from app.serving.traffic import Traffic

SENTENCES: Mapping[str, str] = {
    HEALTHY: "Every stage of every worker answers.",
    DEGRADED: "It answers, but not as it should.",
    UNHEALTHY: "It cannot answer.",
}
_CHANGES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Versions:
    """What the registry knows; `problem` where it cannot be read."""

    facts: tuple[Fact, ...]
    changes: tuple[HistoryEntry, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """One field of the form."""

    name: str
    example: str
    span: str
    description: str


@dataclass(frozen=True, slots=True)
class Form:
    """A prediction to try, and the same as a command."""

    inputs: tuple[Input, ...]
    curl: str


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page."""

    made: Moment
    status: str
    tone: str
    sentence: str
    causes: tuple[str, ...]
    facts: tuple[Fact, ...]
    tiles: tuple[Fact, ...]
    failures: tuple[FailureLine, ...]
    charts: tuple[Chart, ...]
    workers_ready: str
    workers: tuple[WorkerCard, ...]
    rejections: tuple[Bar, ...]
    drift: Drift
    versions: Versions
    form: Form
    libraries: tuple[str, ...]


def page_of(
    health: Health, traffic: Traffic, versions: Versions, form: Form, environment: Mapping[str, str], now: float
) -> Page:
    """The page as it is at Unix time `now`."""
    reports = [report for report, _ in health.workers]
    made = moment(now, now)
    assert made is not None  # noqa: S101 - `now` is a time
    return Page(
        made=made,
        status=health.status,
        tone=TONES[health.status],
        sentence=SENTENCES[health.status],
        causes=health.causes,
        facts=(*who_answers(reports, now), _pulse(health, now), *versions.facts),
        tiles=tiles(traffic, now),
        failures=failure_lines((report.failures for report in reports), now),
        charts=charts(traffic, now),
        workers_ready=f"{sum(report.ready for report in reports)} of {counted(len(reports), 'worker')} ready",
        workers=tuple(worker_card(report, pulse, now) for report, pulse in health.workers),
        rejections=rejections(traffic.violations),
        drift=drift(traffic),
        versions=versions,
        form=form,
        libraries=tuple(f"{name} {version}" for name, version in environment.items()),
    )


def versions_of(registry: Registry) -> Versions:
    """The active version, where a rollback would go, and the latest changes."""
    try:
        active, previous = registry.active(), registry.previous()
        changes = registry.history()[: -_CHANGES_SHOWN - 1 : -1]
    except (RegistryError, OSError) as error:
        return Versions((), problem=str(error))
    return Versions(
        (
            Fact("active", active or "none", "" if active else FAIR),
            Fact("previous", previous or "none", note="a rollback goes there" if previous else ""),
        ),
        tuple(changes),
    )


def form_of(features: Sequence[Feature], origin: str) -> Form:
    """The form, filled with the contract's example; `origin` is the address under which the service was asked."""
    inputs = tuple(
        Input(
            feature.name,
            number_text(feature.example),
            f"{number_text(feature.low)} to {number_text(feature.high)}",
            feature.description,
        )
        for feature in features
    )
    # The script writes both in the same form.
    body = "{" + ", ".join(f"{_json_text(entry.name)}: {entry.example}" for entry in inputs) + "}"
    return Form(inputs, curl_command(f"{origin}/predict", body))


def curl_command(address: str, body: str) -> str:
    """A request as a line for the shell."""
    return f"curl -s {shlex.quote(address)} -H 'Content-Type: application/json' -d {shlex.quote(body)}"


def _pulse(health: Health, now: float) -> Fact:
    pulse = health.pulse
    outcome = {None: "none yet", True: "Answered", False: "Failed"}[pulse.last_success]
    run = f"{counted(pulse.consecutive_failures, 'failure')} in a row," if pulse.consecutive_failures else ""
    tone = POOR if pulse.last_success is False else ""
    return Fact("last prediction", outcome, tone, run, moment(pulse.last_prediction_time, now))


def _json_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
