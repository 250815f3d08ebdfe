"""Alerts and runbook belong together: each alert has its section, each section its alert."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
RULES: Any = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}
TESTS = (ROOT / "deploy" / "prometheus" / "alerts_test.yml", ROOT / "deploy" / "prometheus" / "drift_test.yml",
         ROOT / "deploy" / "prometheus" / "feedback_test.yml")  # fmt: skip
SECTIONS = re.findall(r"(?m)^## (.+)$", (ROOT / "docs" / "runbook.md").read_text())


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_wrong_how_bad_it_is_and_where_to_read_on(name: str) -> None:
    """Whoever it wakes needs all of it."""
    rule = ALERTS[name]
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert "$value" in rule["annotations"]["description"]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"


def test_every_alert_has_its_section_and_every_section_its_alert() -> None:
    """In the same words."""
    assert sorted(SECTIONS) == sorted(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_a_rule_test_shows_the_alert_firing(name: str) -> None:
    """The files that `promtool test rules` runs expect each of them at least once."""
    assert any(f'alertname="{name}"' in path.read_text() or f"alertname: {name}" in path.read_text() for path in TESTS)


def test_every_section_names_a_first_command_and_a_meaning() -> None:
    """In that order of need: what it means, then what to run."""
    text = (ROOT / "docs" / "runbook.md").read_text()
    for section in re.split(r"(?m)^## ", text)[1:]:
        assert "**Means**" in section
        assert section.index("**Means**") < section.index("```bash")
