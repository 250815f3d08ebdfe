"""Reliability: it knows how it is, tells somebody, and answers all the same."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import numpy as np

from app.model.scorer import TOLERANCE, estimator_scores
from app.model.stages import BASELINE, FALLBACK, PRIMARY
from app.readiness.evidence import Evidence, Item
from app.readiness.promql import metric_names
from app.readiness.scene import Scene
from app.readiness.service import Reply, Service

SECTION = "Reliability"

_FROM_PROMETHEUS = {"up", "ALERTS"}


def health_checks(scene: Scene, found: Evidence) -> None:
    """Live, ready, healthy and in detail; and whoever probes asks for what is there."""
    health = scene.service.get("/health")
    found.expect(
        health.status == 200 and health.json["status"] == "healthy", "/health: healthy",
        f"/health: {health.json['status']}, {health.json['cause']}",
    )  # fmt: skip
    for path in ("/health/live", "/health/ready"):
        status = scene.service.get(path).status
        found.expect(status == 200, f"{path}: 200", f"{path}: {status}")
    workers = scene.service.get("/health/detailed").json["workers"]
    tested = [worker for worker in workers if worker["self_test_last_success"]]
    found.expect(
        workers and len(tested) == len(workers), f"{len(workers)} workers have tested every stage by themselves",
        f"{len(workers) - len(tested)} of {len(workers)} workers have not passed a self-test",
    )  # fmt: skip
    for where, paths in (("Dockerfile", _docker_probes(scene)), ("Kubernetes", _kubernetes_probes(scene))):
        unanswered = [path for path in paths if scene.service.get(path).status != 200]
        found.expect(
            paths and not unanswered, f"{where} probes {', '.join(sorted(paths))}",
            f"{where} probes {unanswered or 'nothing'}",
        )  # fmt: skip


def monitoring_alerts(scene: Scene, found: Evidence) -> None:
    """Alert rules that can fire: all they ask for is counted here."""
    rules = [
        rule for file in ("alerts.yml", "recording.yml")
        for group in scene.checkout.yaml(f"deploy/prometheus/{file}")["groups"] for rule in group["rules"]
    ]  # fmt: skip
    alerts = [rule for rule in rules if "alert" in rule]
    there = {rule["record"] for rule in rules if "record" in rule} | _FROM_PROMETHEUS | _sample_names(scene.service)
    unknown = {name for rule in rules for name in metric_names(rule["expr"])} - there
    found.expect(
        alerts and not unknown, f"{len(alerts)} alerts and {len(rules) - len(alerts)} recording rules ask for nothing "
        "that the service does not count",
        f"{len(alerts)} alerts; their rules ask for what is not there: {sorted(unknown)}",
    )  # fmt: skip
    mute = [rule["alert"] for rule in alerts if not {"summary", "runbook_url"} <= rule.get("annotations", {}).keys()
            or "severity" not in rule.get("labels", {})]  # fmt: skip
    found.expect(
        not mute, "each has a severity, a summary and a place in the runbook", f"severity or words are missing: {mute}"
    )
    _expect_promtool(scene, found)


def graceful_degradation(scene: Scene, found: Evidence) -> None:
    """Without any model the rule answers; without the rule the error is a good one."""
    drill = scene.drilled()
    with drill.broken(PRIMARY, FALLBACK):
        reply = drill.service.post("/predict", scene.schema.example())
        _expect_stage(found, reply, BASELINE, "both models broken")
        found.expect(
            drill.service.settles(lambda: _health(drill.service) == (200, "degraded")),
            "/health says degraded, with 200",
            f"/health says {_health(drill.service)}",
        )
    with drill.broken(PRIMARY, FALLBACK, BASELINE):
        reply = drill.service.post("/predict", scene.schema.example())
        document = reply.json
        found.expect(
            reply.status == 503 and "retry-after" in reply.headers and not document["success"] and document["error"],
            f"models and rule broken: 503, Retry-After, {document['error']!r}",
            f"models and rule broken: {reply.status} {document}",
        )
        found.expect(
            drill.service.settles(lambda: _health(drill.service) == (503, "unhealthy"))
            and drill.service.get("/health/live").status == 200,
            "/health says unhealthy, with 503; the process lives on",
            f"/health says {_health(drill.service)}",
        )
    reply = drill.service.post("/predict", scene.schema.example())
    _expect_stage(found, reply, PRIMARY, "all mended, without a restart")


def fallback_logic(scene: Scene, found: Evidence) -> None:
    """With the primary broken the fallback answers, says so, and is right; the primary comes back by itself."""
    stages = set(scene.manifest.stages)
    found.expect(
        {PRIMARY, FALLBACK} <= stages, "the active version has a primary and a fallback",
        f"the active version has only {', '.join(sorted(stages))}",
    )  # fmt: skip
    drill = scene.drilled()
    with drill.broken(PRIMARY):
        reply = drill.service.post("/predict", scene.schema.example())
        _expect_stage(found, reply, FALLBACK, "primary broken")
        estimator = drill.registry.load(drill.sound).estimators[FALLBACK]
        right = estimator_scores(estimator, np.array([list(scene.schema.example().values())]))[0]
        found.expect(
            abs(reply.json["prediction"] - right) <= TOLERANCE, "its score is the fallback's own",
            f"it gave {reply.json['prediction']}, the fallback itself gives {right}",
        )  # fmt: skip
        found.expect(
            drill.service.settles(lambda: _breakers(drill.service) == {"open"}),
            "every worker's breaker opens, so that nobody waits for it",
            f"breakers of the primary: {sorted(_breakers(drill.service))}",
        )
    reply = drill.service.post("/predict", scene.schema.example())
    _expect_stage(found, reply, PRIMARY, "mended, without a restart")


ITEMS = (
    Item(SECTION, "Health checks", health_checks),
    Item(SECTION, "Monitoring alerts", monitoring_alerts),
    Item(SECTION, "Graceful degradation", graceful_degradation),
    Item(SECTION, "Fallback logic", fallback_logic),
)


def _expect_stage(found: Evidence, reply: Reply, stage: str, when: str) -> None:
    document = reply.json
    labelled = bool(document["warning"]) == (stage != PRIMARY)
    found.expect(
        reply.status == 200 and document["model_used"] == stage and labelled,
        f"{when}: {stage} answers" + (f" and says so ({document['warning']!r})" if document["warning"] else ""),
        f"{when}: {reply.status} {document}",
    )


def _health(service: Service) -> tuple[int, str]:
    reply = service.get("/health")
    return reply.status, reply.json["status"]


def _breakers(service: Service) -> set[str]:
    workers = service.get("/health/detailed").json["workers"]
    return {str(worker["stages"][PRIMARY]["breaker"]) for worker in workers}


def _docker_probes(scene: Scene) -> set[str]:
    check = scene.checkout.text("Dockerfile").partition("HEALTHCHECK")[2].partition("\nCMD")[0]
    return set(re.findall(r"'(/[a-z/]*)'", check))


def _kubernetes_probes(scene: Scene) -> set[str]:
    deployment = scene.checkout.yaml("deploy/kubernetes/base/deployment.yaml")
    containers: list[dict[str, Any]] = deployment["spec"]["template"]["spec"]["containers"]
    probes = ("startupProbe", "livenessProbe", "readinessProbe")
    return {container[probe]["httpGet"]["path"] for container in containers for probe in probes}


def _sample_names(service: Service) -> set[str]:
    """Names under which a family's samples can be asked for, whether or not there are any yet."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
    return {
        family.name + suffix for family in service.metrics().values() for suffix in suffixes.get(family.type, ("",))
    }  # fmt: skip


def _expect_promtool(scene: Scene, found: Evidence) -> None:
    """Tests of the rules; and Prometheus' own tool, where it is installed. To run the tests takes it a minute."""
    promtool = shutil.which("promtool")
    folder = scene.checkout.path("deploy/prometheus")
    tests = sorted(folder.glob("*_test.yml"))
    found.expect(tests, f"{len(tests)} files of tests show them fire", "no *_test.yml shows a rule fire")
    if promtool is None:
        return
    command = [promtool, "check", "rules", str(folder / "alerts.yml"), str(folder / "recording.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed arguments
    said = (done.stdout + done.stderr).strip()[-500:]
    found.expect(not done.returncode, "promtool finds nothing wrong with them", f"promtool check rules: {said}")
