"""What Prometheus learns from the worker board at each scrape: the state of all workers, as gauges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.serving.board import WorkerReport
from app.serving.health import DEGRADED, HEALTHY, UNHEALTHY, HealthCheck
from app.serving.reload import ModelFollower


class StateGauges(Collector):
    """Reads the board when it is asked, so that a dead worker leaves no stale value behind."""

    def __init__(self, health: HealthCheck, follower: ModelFollower, environment: dict[str, str]) -> None:
        self._health = health
        self._follower = follower
        self._environment = environment

    def collect(self) -> Iterator[GaugeMetricFamily]:
        health = self._health.health()
        reports = [report for report, _ in health.workers]
        statuses = Counter({status: int(status == health.status) for status in (HEALTHY, DEGRADED, UNHEALTHY)})
        yield _counted("service_status", "1 for what /health says.", "status", statuses)
        yield _counted("workers", "Workers by state.", "state", Counter(map(_state, reports)))
        yield GaugeMetricFamily(
            "service_start_timestamp_seconds", "When the service was started.", self._health.service_started
        )
        yield self._model_info(reports)
        available, opened = Counter[str](), Counter[str]()
        for report in reports:
            for name in (*report.stages, *report.absent):
                state = report.stages.get(name)
                available[name] += int(state is not None and state.answering)
                opened[name] += int(state is not None and state.breaker_open)
        yield _counted("stage_available", "Workers in which the stage answers.", "stage", available)
        yield _counted("stage_breaker_open", "Workers whose breaker of the stage is open.", "stage", opened)
        tested = [report.self_test_last_success for report in reports]
        if tested and None not in tested:
            yield GaugeMetricFamily(
                "self_test_last_success_timestamp_seconds", "Oldest last success of all workers' self-tests.",
                min(at for at in tested if at is not None),
            )  # fmt: skip
        yield self._reference()

    def _model_info(self, reports: list[WorkerReport]) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "model_info", "Workers that serve a model version.", labels=["version", "python", "scikit_learn"]
        )
        for version, workers in Counter(report.model_version or "-" for report in reports).items():
            family.add_metric([version, self._environment["python"], self._environment["scikit-learn"]], workers)
        return family

    def _reference(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "feature_reference_ratio", "Share of the bin in the training of the active version.",
            labels=["feature", "bin"],
        )  # fmt: skip
        bins = self._follower.chain.bins
        for name, ratios in zip(bins.names, bins.ratios, strict=True) if bins is not None else ():
            for place, ratio in enumerate(ratios):
                family.add_metric([name, str(place)], ratio)
        return family


def _state(report: WorkerReport) -> str:
    return "draining" if report.draining else "ready" if report.ready else "unready"


def _counted(name: str, what: str, label: str, counts: Counter[str]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, what, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family
