"""Every item of the checklist: it passes where all is there, and fails where one piece is taken away."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.contract.schema import FeatureSchema, Matrix
from app.factory import EXTENSION, create_app
from app.model.registry import Registry
from app.readiness.checkout import Checkout
from app.readiness.run import CHECKLIST
from app.readiness.service import Reply
from app.readiness.slo import Slo
from app.settings import Settings
from tests.conftest import draft_of, fitted_logistic
from tests.unit.readiness.stage import AppService, Production, copied_checkout, of_json, without_lines

Theft = Callable[[Production], None]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory, schema: FeatureSchema) -> Path:
    """A registry with an active version, and a checkout. Each test gets copies of both."""
    folder = tmp_path_factory.mktemp("pristine")
    registry = Registry(folder / "models", schema)
    estimators = {"primary": fitted_logistic(schema), "fallback": fitted_logistic(schema, seed=3)}
    registry.activate(registry.register(draft_of(schema, **estimators)))
    copied_checkout(folder / "checkout")
    return folder


@pytest.fixture(scope="module")
def app(pristine: Path) -> Iterator[Flask]:
    """The service that all of them ask."""
    running = create_app(
        Settings(
            models_dir=pristine / "models",
            audit_dir=pristine / "audit",
            runtime_dir=pristine / "runtime",
            log_level="ERROR",
        )
    )
    running.extensions[EXTENSION].background.start()
    yield running
    running.extensions[EXTENSION].background.stop()


@pytest.fixture
def production(pristine: Path, app: Flask, tmp_path: Path, schema: FeatureSchema) -> Production:
    """A service of an active version, in this process, and all that belongs to it."""
    (tmp_path / "drill").mkdir()
    for name in ("models", "checkout"):
        shutil.copytree(pristine / name, tmp_path / name)
    settings = app.extensions[EXTENSION].settings
    registry, checkout = Registry(tmp_path / "models", schema), Checkout(tmp_path / "checkout")
    return Production(tmp_path, settings, schema, registry, AppService(app, settings.audit_dir), checkout)


@pytest.mark.parametrize("name", [item.name for item in CHECKLIST])
def test_an_item_passes_where_all_is_there(name: str, production: Production) -> None:
    """With evidence, and nothing left open."""
    finding = production.finding(name)
    assert (finding.status, finding.lacking, finding.unchecked) == ("pass", [], [])
    assert finding.seen


def lie(path: str, how: Callable[[Reply], Reply]) -> Theft:
    """The service's replies at a path are others."""
    return lambda production: production.service.lies.update({path: how})


def edit(name: str, old: str, new: str = "") -> Theft:
    """A file of the checkout says something else."""

    def steal(production: Production) -> None:
        path = production.checkout.root / name
        text = path.read_text()
        assert old in text, f"{name} has no {old!r}"
        path.write_text(text.replace(old, new))

    return steal


def remove(name: str) -> Theft:
    """A file of the checkout, or a folder, is gone."""

    def steal(production: Production) -> None:
        path = production.checkout.root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return steal


def set_to(**members: Any) -> Theft:
    """Something of the production is another."""

    def steal(production: Production) -> None:
        for name, value in members.items():
            setattr(production, name, value)

    return steal


def _only_a_primary(production: Production) -> None:
    registry, schema = production.registry, production.schema
    registry.activate(registry.register(draft_of(schema, primary=fitted_logistic(schema))))


def _no_audit(production: Production) -> None:
    production.service.audit_dir = None


def _another_active(production: Production) -> None:
    (production.registry.folder / "ACTIVE").write_text(
        production.registry.register(draft_of(production.schema, primary=fitted_logistic(production.schema, 9)))
    )


def _a_changed_model_file(production: Production) -> None:
    path = production.registry.folder / str(production.registry.active()) / "primary.joblib"
    path.write_bytes(path.read_bytes() + b"x")


def _no_tests(production: Production) -> None:
    for path in production.checkout.root.rglob("*_test.yml"):
        path.unlink()


def _untested(production: Production) -> None:
    for path in production.checkout.root.rglob("*_test.yml"):
        path.write_text("tests: []\n")


def _by_hand(production: Production) -> None:
    """Whoever writes the pointer leaves no trace."""
    version = production.registry.register(draft_of(production.schema, primary=fitted_logistic(production.schema, 9)))
    (production.registry.folder / "ACTIVE").write_text(version)


def _damaged_previous(production: Production) -> None:
    registry, before = production.registry, str(production.registry.active())
    estimators = {"primary": fitted_logistic(production.schema, 9), "fallback": fitted_logistic(production.schema, 8)}
    registry.activate(registry.register(draft_of(production.schema, **estimators)))
    (registry.folder / before / "fallback.joblib").write_bytes(b"x")


def _in_somebody_elses(production: Production) -> None:
    """The checkout lies in another repository, which ignores it."""
    root = production.checkout.root
    (root / ".git").rename(root.parent / ".git")
    (root.parent / ".gitignore").write_text("*\n")


def _redact_everything(production: Production) -> None:
    names = ",".join(production.schema.names)
    production.settings = production.settings.model_copy(update={"redact_features": names})


def _no_json(reply: Reply) -> Reply:
    return Reply(200, reply.headers, b"<html>")


def _forget_history(production: Production) -> None:
    (production.registry.folder / "history.jsonl").unlink()


def _redact(production: Production) -> None:
    """Somebody else's audit: it leaves a feature out that these settings keep."""
    production.settings = production.settings.model_copy(update={"redact_features": "lag_1"})


def broken_rule(rows: Matrix) -> Matrix:
    """A rule that never answers."""
    raise RuntimeError("the rule is broken")


def _first_error(document: Any) -> None:
    document["errors"] = document["errors"][:1]


def _refused(reply: Reply) -> Reply:
    return replace(reply, status=500)


def _bare_errors(reply: Reply) -> Reply:
    return reply if reply.status == 200 else _refused(reply)


def _uncounted(family: str) -> Callable[[Reply], Reply]:
    return without_lines(f"# HELP {family}", f"# TYPE {family}", family)


def _runs(**libraries: str) -> Callable[[Reply], Reply]:
    return of_json(lambda document: document["environment"].update(libraries))


def _taken(reply: Reply) -> Reply:
    return replace(reply, status=200)


_METRICS = ("prediction_duration_seconds_count", "prediction_requests_total", "contract_violations_total")

THEFTS: dict[str, dict[str, Theft]] = {
    "Schema": {
        "the description lacks a feature": lie(
            "/openapi.json",
            of_json(lambda document: document["components"]["schemas"]["Reading"]["properties"].pop("lag_1")),
        ),
        "only the first problem is told": lie("/predict", of_json(_first_error)),
        "no version is active": lambda production: (production.registry.folder / "ACTIVE").unlink(),
    },
    "Types": {"text is taken": lie("/predict", _taken)},
    "Ranges": {"the edges are refused": lie("/predict", _refused), "what is beyond is taken": lie("/predict", _taken)},
    "Rejection": {
        "a client's fault is a 500": lie("/predict", _refused),
        "no envelope": lie("/predict", of_json(lambda document: document.update(error=None))),
    },
    "Pinned dependencies": {
        "no lock": remove("requirements.txt"),
        "a pin without hashes": edit("requirements.txt", "    --hash=sha256:", "    # sha256:"),
        "a version that is open": edit("requirements.txt", "flask==", "flask>="),
        "something new is asked for": edit("requirements.in", "flask>=", "left-pad>=1\nflask>="),
    },
    "Container": {
        "no Dockerfile": remove("Dockerfile"),
        "root": edit("Dockerfile", "USER 10001:10001", "USER 0"),
        "nobody in particular": edit("Dockerfile", "USER 10001:10001"),
        "no hashes": edit("Dockerfile", "--require-hashes"),
        "any base": edit("Dockerfile", "ARG BASE=python:3.11-slim", "ARG BASE=python:latest"),
        "something more is installed": edit("Dockerfile", "USER 10001", "RUN pip install requests\nUSER 10001"),
        "no health check": edit("Dockerfile", "HEALTHCHECK", "# HEALTHCHECK"),
        "a shell as process 1": edit("Dockerfile", 'CMD ["gunicorn"]', "CMD gunicorn"),
        "history in the image": edit(".dockerignore", "*\n", "audit\n"),
        "history in the image after all": edit(".dockerignore", "*\n", "*\n!.git\n"),
    },
    "Environment parity": {
        "another library": lie("/health/detailed", _runs(numpy="1.0")),
        "another Python": lie("/health/detailed", _runs(python="3.9.1")),
        "another pin": edit("requirements.txt", "joblib==1", "joblib==2"),
    },
    "Version control": {
        "a change that is not committed": edit("Makefile", "serve:", "serve2:"),
        "no repository": remove(".git"),
        "somebody else's repository": _in_somebody_elses,
        "activated by hand": _by_hand,
        "another version answers": _another_active,
        "a model file was changed": _a_changed_model_file,
        "no history of the model": _forget_history,
        "other code answers": lie("/openapi.json", of_json(lambda document: document["info"].update(version="0.0.9"))),
    },
    "Prediction logging": {
        "no audit": _no_audit,
        "another answer than the audit's": lie("/predict", of_json(lambda document: document.update(prediction=0.5))),
    },
    "Latency tracking": {
        "no latency in the answer": lie("/predict", of_json(lambda document: document.update(latency_ms=None))),
        "no histogram": lie("/metrics", without_lines(_METRICS[0])),
    },
    "Error tracking": {
        "no count by outcome": lie("/metrics", without_lines(_METRICS[1])),
        "no count by feature": lie("/metrics", without_lines(_METRICS[2])),
        "no count of stages": lie("/metrics", _uncounted("stage_failures")),
        "no audit": _no_audit,
    },
    "Feature auditing": {
        "no count by bin": lie("/metrics", without_lines("feature_rows_total")),
        "no distribution in training": lie("/metrics", without_lines("feature_reference_ratio")),
        "another set of features is kept": _redact,
        "nothing is kept": _redact_everything,
        "no audit": _no_audit,
    },
    "Health checks": {
        "degraded": lie("/health", of_json(lambda document: document.update(status="degraded"))),
        "not ready": lie("/health/ready", _refused),
        "no self-test": lie("/health/detailed", of_json(lambda document: document.update(workers=[]))),
        "liveness depends on the model": edit(
            "deploy/kubernetes/base/deployment.yaml", "/health/live", "/health"
        ),
        "a probe of what is not there": edit("Dockerfile", "'/health'", "'/healthz'"),
        "no probe": edit("deploy/kubernetes/base/deployment.yaml", "/health/live", "/alive"),
    },
    "Monitoring alerts": {
        "no rules": remove("deploy/prometheus/alerts.yml"),
        "an alert on what nobody counts": lie("/metrics", _uncounted("audit_errors")),
        "no severity": edit("deploy/prometheus/alerts.yml", "labels: {severity: page}", "labels: {}"),
        "no tests": _no_tests,
        "tests of nothing": _untested,
        "nobody loads them": edit("deploy/prometheus/prometheus.yml", "alerts.yml", "others.yml"),
        "nobody is told": edit("deploy/prometheus/prometheus.yml", "alerting:", "unheard:"),
        "Prometheus has no configuration": remove("deploy/prometheus/prometheus.yml"),
    },
    "Graceful degradation": {
        "the rule is broken": set_to(rule="tests.unit.readiness.test_checklist:broken_rule"),
        "no sound version": _a_changed_model_file,
        "the error is a 500": set_to(drill_lies={"/predict": _bare_errors}),
    },
    "Fallback logic": {
        "no fallback": _only_a_primary,
        "it does not say so": set_to(drill_lies={"/predict": of_json(lambda document: document.update(warning=None))}),
        "another score": set_to(drill_lies={"/predict": of_json(lambda document: document.update(prediction=0.123))}),
        "no breaker": set_to(drill_settings={"BREAKER_FAILURES": "1000000"}),
    },
    "Runbooks": {
        "no runbook": remove("docs/runbook.md"),
        "an alert without a section": edit("docs/runbook.md", "## ServiceDown\n", "## Something else\n"),
        "a section without a command": edit("docs/runbook.md", "```bash\ncurl -sS -m 5 $URL/health\n```"),
        "an empty command": edit("docs/runbook.md", "curl -sS -m 5 $URL/health\n"),
    },
    "Incident response": {
        "nobody is told": edit("deploy/alertmanager/alertmanager.yml", "receiver: pager\n", "receiver: nobody\n"),
        "a receiver without an address": edit(
            "deploy/alertmanager/alertmanager.yml", "    webhook_configs:\n      - url: http://localhost:9095/page\n",
            "    webhook_configs: []\n",
        ),
        "all wake or none": edit("deploy/alertmanager/alertmanager.yml", "receiver: pager\n", "receiver: tickets\n"),
        "nobody is woken": edit("deploy/alertmanager/alertmanager.yml", "severity = page", "severity = ticket"),
        "no alert wakes": edit("deploy/prometheus/alerts.yml", "severity: page", "severity: ticket"),
        "no page": lie("/", lambda reply: replace(reply, status=404)),
        "no story": remove("docs/operations.md"),
    },
    "Rollback procedures": {
        "nobody wrote it down": edit("docs/runbook.md", "flask models rollback", "flask models undo"),
        "the version before is damaged": _damaged_previous,
        "workers do not follow": set_to(drill_settings={"RELOAD_INTERVAL_S": "1000"}),
        "requests are lost": set_to(drill_lies={"/predict": _refused}),
    },
    "Load testing": {
        "no target": edit("Makefile", "\nloadtest:", "\nanother:"),
        "no traffic": remove("benchmarks/loadtest"),
        "traffic without users": edit("benchmarks/loadtest/locustfile.py", "HttpUser"),
        "too slow": set_to(slo=Slo.parse("p50=0.000001ms")),
        "requests fail": set_to(drill_lies={"/predict": _refused}),
        "replies are no JSON": set_to(drill_lies={"/predict": _no_json}),
        "the rule answers": set_to(
            drill_lies={"/predict": of_json(lambda document: document.update(model_used="baseline"))}
        ),
    },
}  # fmt: skip
"""What may be taken away, by item."""


@pytest.mark.parametrize(
    ("name", "theft"),
    [
        pytest.param(name, theft, id=f"{name}: {what}")
        for name, thefts in THEFTS.items() for what, theft in thefts.items()
    ],
)  # fmt: skip
def test_an_item_fails_where_a_piece_is_taken_away(name: str, theft: Theft, production: Production) -> None:
    """It says what lacks; a fault of the check itself would not be told from it, so the words are looked at too."""
    production.patience_s = 1.0
    theft(production)
    finding = production.finding(name)
    assert finding.status == "fail", finding
    assert not any(text.startswith(("AttributeError", "NameError", "AssertionError")) for text in finding.lacking)


def test_every_item_can_lose_something() -> None:
    """Nothing on the list passes whatever happens."""
    assert list(THEFTS) == [item.name for item in CHECKLIST]


def test_without_a_drill_nothing_is_broken_and_four_items_stay_open(production: Production) -> None:
    """They are not passed, and say why."""
    production.drilled = False
    findings = [production.finding(item.name) for item in CHECKLIST]
    unchecked = [finding.item for finding in findings if finding.status == "not checked"]
    assert unchecked == ["Graceful degradation", "Fallback logic", "Rollback procedures", "Load testing"]
    assert not list((production.folder / "drill").iterdir())


def test_without_a_checkout_what_needs_one_stays_open(production: Production, tmp_path: Path) -> None:
    """As in a container, which has none."""
    production.checkout = Checkout(tmp_path / "models")
    finding = production.finding("Container")
    assert (finding.status, finding.lacking) == ("not checked", [])


@pytest.mark.parametrize("there", [False, True])
def test_an_audit_on_another_machine_is_not_taken_for_a_missing_one(
    there: bool, production: Production, tmp_path: Path
) -> None:
    """Whoever audits a service from afar cannot see its files, but may have an audit of his own."""
    production.patience_s = 0.1
    production.service.own, production.service.audit_dir = False, tmp_path / "elsewhere"
    if there:
        production.service.audit_dir.mkdir()
        (production.service.audit_dir / "old.jsonl").write_text("{}\n")
        os.utime(production.service.audit_dir / "old.jsonl", (0, 0))
    finding = production.finding("Prediction logging")
    assert (finding.status, finding.lacking) == ("not checked", [])


def test_replicas_that_count_apart_are_not_taken_for_a_lost_count(production: Production) -> None:
    """Each scrape meets another one."""
    production.patience_s, scrapes = 0.1, itertools.count()
    production.service.lies["/metrics"] = lambda reply: (
        reply if next(scrapes) == 0 else without_lines("prediction_duration_seconds_count")(reply)
    )
    production.service.post("/predict", production.schema.example())
    finding = production.finding("Latency tracking")
    assert (finding.status, finding.lacking) == ("not checked", [])


def test_in_a_container_the_drills_are_made_all_the_same(production: Production, tmp_path: Path) -> None:
    """Only the documents are out of reach there."""
    production.checkout = Checkout(tmp_path / "models")
    for name in ("Rollback procedures", "Load testing"):
        finding = production.finding(name)
        assert finding.status == "not checked"
        assert any("requests" in fact for fact in finding.seen)
