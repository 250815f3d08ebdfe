"""A whole production in one process: a service, a registry, a checkout and a drill; each can lack something."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask import Flask

from app.contract.schema import FeatureSchema
from app.factory import EXTENSION, create_app
from app.model.registry import Registry
from app.readiness.checkout import Checkout
from app.readiness.drill import Drill
from app.readiness.evidence import judge
from app.readiness.results import Finding
from app.readiness.run import CHECKLIST
from app.readiness.scene import Scene
from app.readiness.service import Reply, Service
from app.readiness.slo import Slo
from app.settings import Settings, load_settings
from tests.commits import commit_all

ROOT = Path(__file__).parents[3]

Change = Callable[[Reply], Reply]


class AppService(Service):
    """An app in this process. `lies` changes the replies to paths that begin so."""

    own = True

    def __init__(self, app: Flask, audit_dir: Path | None, lies: Mapping[str, Change] | None = None) -> None:
        self.name = "an app"
        self.audit_dir = audit_dir
        self.lies = dict(lies or {})
        self._app = app

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        response = self._app.test_client().open(path, method=method, data=body, headers=dict(headers or {}))
        fields = {name.lower(): value for name, value in response.headers.items()}
        reply = Reply(response.status_code, fields, response.data)
        for prefix, lie in self.lies.items():
            if path.startswith(prefix):
                reply = lie(reply)
        return reply


def of_json(change: Callable[[Any], object]) -> Change:
    """A lie that changes the document."""

    def lie(reply: Reply) -> Reply:
        document = json.loads(reply.body)
        change(document)
        return Reply(reply.status, reply.headers, json.dumps(document).encode())

    return lie


def without_lines(*beginnings: str) -> Change:
    """A lie that leaves out lines of a text that begin so."""

    def lie(reply: Reply) -> Reply:
        kept = [line for line in reply.body.decode().splitlines() if not line.startswith(beginnings)]
        return Reply(reply.status, reply.headers, ("\n".join(kept) + "\n").encode())

    return lie


@dataclass
class Production:
    """All is well with it until a test takes something away; `finding` says what one item makes of it."""

    folder: Path
    settings: Settings
    schema: FeatureSchema
    registry: Registry
    service: AppService
    checkout: Checkout
    slo: Slo = field(default_factory=lambda: Slo.parse("p99=60s,success=90"))
    drill_settings: dict[str, str] = field(default_factory=dict)
    drilled: bool = True
    rule: str = Settings.model_fields["baseline_rule"].default
    drill_lies: dict[str, Change] = field(default_factory=dict)
    patience_s: float = 30.0
    """How long to wait for what should come, which is what a test costs where it does not."""

    def finding(self, name: str) -> Finding:
        """Of the item of that name."""
        item = next(item for item in CHECKLIST if item.name == name)
        drill = Drill(
            self._start,
            self.folder / "drill",
            self.schema,
            self.registry,
            rule=self.rule,
            followed_within_s=self.patience_s,
        )
        scene = Scene(
            self.settings, self.schema, self.registry, self.service, self.checkout, self.slo, 0.3,
            drill if self.drilled else None,
        )  # fmt: skip
        self.service.settled_within_s = self.patience_s
        try:
            return judge(item, scene)
        finally:
            drill.close()

    @contextmanager
    def _start(self, settings: Mapping[str, str | None]) -> Iterator[Service]:
        environ = {
            "AUDIT_DIR": str(self.folder / "drill" / "audit"),
            "RUNTIME_DIR": str(self.folder / "drill" / "runtime"),
            "RELOAD_INTERVAL_S": "0.05",
            "LOG_LEVEL": "ERROR",
            # Clients, service and proofs share one interpreter lock here: a stall is no fault of the model's.
            "PRIMARY_DEADLINE_MS": "30000",
            "FALLBACK_DEADLINE_MS": "30000",
            **{name: value for name, value in settings.items() if value is not None},
            "SELF_TEST_INTERVAL_S": "0.05",
            **self.drill_settings,
        }
        ours = {name: environ[name] for name in environ if name.startswith("READINESS_")}
        os.environ.update(ours)
        app = create_app(load_settings(environ))
        app.extensions[EXTENSION].background.start()
        try:
            service = AppService(app, None, self.drill_lies)
            service.settled_within_s = self.patience_s
            yield service
        finally:
            app.extensions[EXTENSION].background.stop()
            for name in ours:
                del os.environ[name]


def copied_checkout(folder: Path) -> Checkout:
    """What the audit looks at of the source tree, as one commit."""
    for name in (
        "pyproject.toml", "requirements.in", "requirements.txt", "requirements-dev.in", "requirements-dev.txt",
        "Dockerfile", ".dockerignore", "Makefile", "docs/runbook.md", "docs/operations.md", "deploy/prometheus",
        "deploy/alertmanager", "deploy/kubernetes/base", "benchmarks/loadtest",
    ):  # fmt: skip
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    commit_all(folder)
    return Checkout(folder)
