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

PROMETHEUS = "deploy/prometheus"
RULE_FILES = ("alerts.yml", "recording.yml")

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
    workers = scene.service.detailed()["workers"]
    tested = [worker for worker in workers if worker["self_test_last_success"]]
    found.expect(
        workers and len(tested) == len(workers), f"{len(workers)} workers have tested every stage by themselves",
        f"{len(workers) - len(tested)} of {len(workers)} workers have not passed a self-test",
    )  # fmt: skip
    probed = _docker_probes(scene)
    found.expect(probed, "the Dockerfile asks /health", "the Dockerfile's HEALTHCHECK asks for no path")
    live, others = _kubernetes_probes(scene)
    found.expect(
        live == {"/health/live"}, "Kubernetes restarts what does not answer /health/live",
        f"Kubernetes restarts what does not answer {sorted(live)}; only /health/live says no more than that it lives",
    )  # fmt: skip
    unanswered = [path for path in sorted(probed | live | others) if scene.service.get(path).status != 200]
    found.expect(
        others and not unanswered, f"and waits for {', '.join(sorted(others))}",
        f"probes ask for what does not answer: {unanswered or 'nothing'}",
    )  # fmt: skip


def monitoring_alerts(scene: Scene, found: Evidence) -> None:
    """Alert rules that can fire: all they ask for is counted here."""
    rules = [
        rule for name in RULE_FILES
        for group in scene.checkout.yaml(f"{PROMETHEUS}/{name}")["groups"] for rule in group["rules"]
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
    untested = {rule["alert"] for rule in alerts} - _expected_alerts(scene)
    found.expect(
        not untested, "each has a test that expects it to fire", f"no test expects to fire: {sorted(untested)}"
    )
    _expect_loaded(scene, found)
    _expect_valid(scene, found)


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
    if FALLBACK not in stages:
        return
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
    workers = service.detailed()["workers"]
    return {str(worker["stages"][PRIMARY]["breaker"]) for worker in workers}


def _docker_probes(scene: Scene) -> set[str]:
    check = scene.checkout.text("Dockerfile").partition("HEALTHCHECK")[2].partition("\nCMD")[0]
    return set(re.findall(r"'(/[a-z/]*)'", check))


def _kubernetes_probes(scene: Scene) -> tuple[set[str], set[str]]:
    """The paths of liveness probes, and those of all others."""
    deployment = scene.checkout.yaml("deploy/kubernetes/base/deployment.yaml")
    containers: list[dict[str, Any]] = deployment["spec"]["template"]["spec"]["containers"]
    asked = [
        (name, probe["httpGet"]["path"])
        for container in containers for name, probe in container.items()
        if name.endswith("Probe") and "httpGet" in probe
    ]  # fmt: skip
    live = {path for name, path in asked if name == "livenessProbe"}
    return live, {path for name, path in asked if name != "livenessProbe"}


def _sample_names(service: Service) -> set[str]:
    """Names under which a family's samples can be asked for, whether or not there are any yet."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
    return {
        family.name + suffix for family in service.metrics().values() for suffix in suffixes.get(family.type, ("",))
    }  # fmt: skip


def _expected_alerts(scene: Scene) -> set[str]:
    """The alerts that the tests of the rules expect to fire."""
    names: set[str] = set()
    for path in scene.checkout.path(PROMETHEUS).glob("*_test.yml"):
        for test in scene.checkout.yaml(f"{PROMETHEUS}/{path.name}").get("tests", ()):
            names |= {rule["alertname"] for rule in test.get("alert_rule_test", ()) if rule.get("exp_alerts")}
            for query in test.get("promql_expr_test", ()):
                for sample in query.get("exp_samples") or ():
                    names |= set(re.findall(r'alertname="(\w+)"', str(sample.get("labels", ""))))
    return names


def _expect_loaded(scene: Scene, found: Evidence) -> None:
    """Prometheus loads the rules, scrapes, and tells somebody."""
    configuration = scene.checkout.yaml(f"{PROMETHEUS}/prometheus.yml")
    unloaded = set(RULE_FILES) - {str(path).rpartition("/")[2] for path in configuration.get("rule_files") or ()}
    found.expect(not unloaded, "prometheus.yml loads them", f"prometheus.yml does not load {sorted(unloaded)}")
    found.expect(
        configuration.get("scrape_configs") and configuration.get("alerting", {}).get("alertmanagers"),
        "scrapes, and tells an Alertmanager", "prometheus.yml scrapes nothing, or tells nobody",
    )  # fmt: skip


def _expect_valid(scene: Scene, found: Evidence) -> None:
    """By Prometheus' own tool, where it is installed. Its run of the tests takes a minute, and is `make e2e`'s."""
    promtool = shutil.which("promtool")
    if promtool is None:
        found.seen.append("promtool is not installed here, so Prometheus itself has not read them")
        return
    files = [str(scene.checkout.path(f"{PROMETHEUS}/{name}")) for name in RULE_FILES]
    done = subprocess.run(  # noqa: S603 - fixed arguments
        [promtool, "check", "rules", *files], capture_output=True, text=True, check=False
    )
    said = (done.stdout + done.stderr).strip()[-500:]
    found.expect(not done.returncode, "promtool finds nothing wrong with them", f"promtool check rules: {said}")
