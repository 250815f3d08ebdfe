"""From the real service's audit to `flask report`: what was answered is what is reported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.e2e.conftest import PROJECT, Service, StartService


def report(service: Service, *arguments: str) -> Any:
    """What `flask report --json` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", "report", "--json", *arguments],
        cwd=PROJECT, env={**os.environ, **service.env, "FLASK_APP": "app"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_report_is_about_what_was_answered(start_service: StartService, reading: dict[str, Any]) -> None:
    """While two workers write, and their files are full every few lines."""
    service = start_service(WEB_CONCURRENCY="2", AUDIT_ROTATE_BYTES="2000")
    bad = {**reading, "lag_1": "much"}
    ids = [service.post("/predict", reading).json["prediction_id"] for _ in range(20)]
    batches = [service.post("/predict/batch", {"instances": [reading, bad, reading]}).json for _ in range(4)]
    for _ in range(3):
        assert service.post("/predict", bad).status == 422

    document = report(service)
    assert (document["served"], document["rejected"], document["failed"]) == (28, 7, 0)
    assert document["rejections"] == [{"feature": "lag_1", "code": "not_numeric", "problems": 7}]
    assert document["coverage"]["unreadable_lines"] == 0
    assert document["coverage"]["files"] > 4
    assert {entry["rows"] for entry in document["drift"]["features"]} == {28}

    ids += [entry["prediction_id"] for batch in batches for entry in batch["predictions"] if entry["success"]]
    audited = report(service, "--sql", "SELECT prediction_id FROM audit WHERE outcome = 'served'")["rows"]
    assert sorted(row[0] for row in audited) == sorted(ids)
    assert report(service, "--sql", "SELECT count(*) FROM requests WHERE outcome = 'served'")["rows"] == [[24]]
