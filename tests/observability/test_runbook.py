"""The runbook: every command block runs against a live service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.contract.schema import FeatureSchema
from tests.e2e.conftest import Service, eventually
from tests.observability.conftest import Watched

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "runbook.md").read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A service with a little traffic of all sorts behind it, and what the commands need to find it."""
    from tests.browser.breakable import register_breakable

    folder = tmp_path_factory.mktemp("runbook")
    register_breakable(folder / "models")
    with Service(folder / "service", folder / "models", FEATURE_SCHEMA="app.contract.schema:FeatureSchema") as service:
        eventually(lambda: service.request("GET", "/health/ready").status == 200, "it is ready")
        reading = FeatureSchema().example()
        for number in range(50):
            reply = service.post("/predict", reading if number % 5 else {**reading, "lag_1": -1})
            if reply.status == 200:
                service.post("/feedback", {"prediction_id": reply.json["prediction_id"], "actual": 0})
        service.post("/predict/batch", {"instances": [reading] * 20})
        yield {
            **os.environ, "URL": service.url, "MODELS_DIR": service.env["MODELS_DIR"],
            "AUDIT_DIR": service.env["AUDIT_DIR"], "FLASK_APP": "app",
        }  # fmt: skip


@pytest.mark.parametrize("block", BLOCKS, ids=[block.strip().splitlines()[0][:70] for block in BLOCKS])
def test_every_command_block_works(block: str, environment: dict[str, str]) -> None:
    """On a healthy service too, so that it can be tried before the night it is needed."""
    flask = f"{sys.executable} -m flask"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.replace(".venv/bin/flask", flask)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_blocks() -> None:
    """An empty runbook would pass all else."""
    assert len(BLOCKS) > 20


def test_a_fault_shows_where_the_runbook_looks_for_it(watched: Watched) -> None:
    """The primary's section reads the reason from the worker's stages."""
    (watched.broken / "primary").touch()
    eventually(lambda: watched.service.request("GET", "/health").json["status"] == "degraded", "it is degraded", 30)
    workers = watched.service.request("GET", "/health/detailed").json["workers"]
    assert any("exception" in str(worker["stages"]["primary"]["reason"]) for worker in workers)
