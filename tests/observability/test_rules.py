"""The alert and recording rules, by Prometheus' own tool."""

from __future__ import annotations

import subprocess

import pytest

from tests.observability.conftest import Watched
from tests.observability.monitoring import RULES, program


@pytest.mark.parametrize("name", ["recording.yml", "alerts.yml"])
def test_the_rules_are_valid(name: str) -> None:
    """Expressions and templates included."""
    promtool("check", "rules", str(RULES / name))


def test_the_configuration_is_valid() -> None:
    """The one that the README starts Prometheus with."""
    promtool("check", "config", str(RULES / "prometheus.yml"))


@pytest.mark.parametrize("path", sorted(RULES.glob("*_test.yml")), ids=lambda path: path.stem)
def test_the_rules_say_what_they_should(path: object) -> None:
    """Each alert fires when it should, and not when it should not."""
    promtool("test", "rules", str(path))


def test_the_metrics_are_well_formed(watched: Watched) -> None:
    """Names, units, help texts: what `promtool check metrics` looks at."""
    with watched.load():
        watched.service.post("/predict", {})
    promtool("check", "metrics", given=watched.service.request("GET", "/metrics").body)


def promtool(*arguments: str, given: bytes | None = None) -> None:
    done = subprocess.run([program("promtool"), *arguments], input=given, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    assert given is None or done.stderr == b"", done.stderr.decode()
