"""The incident of docs/operations.md, played again: what matters in the output it shows is still what comes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from tests.documents.blocks import ROOT, Block, blocks
from tests.documents.night import ALERT, Night
from tests.documents.transcripts import Step, agrees, normal, renamed, steps, versions_of

DOCUMENT = "docs/operations.md"
TRANSCRIPTS: list[Block] = [block for block in blocks(DOCUMENT, "console") if block.is_transcript]
STEPS: list[Step] = [step for block in TRANSCRIPTS for step in steps(block)]
SHOWN = versions_of([step.command + step.output for step in STEPS])


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """The night up to the alert."""
    folder = tmp_path_factory.mktemp("night")
    with Night(folder).begun() as night:
        yield night


def test_the_alert_is_one_that_prometheus_raises() -> None:
    """With the words that the document quotes."""
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())
    alerts = {rule["alert"]: rule for group in rules["groups"] for rule in group["rules"]}
    text = (ROOT / DOCUMENT).read_text()
    assert f"{ALERT}: {alerts[ALERT]['annotations']['summary']}" in text


def test_what_is_shown_is_what_comes(night: Night) -> None:
    """Command by command, in order; versions, times and durations are tonight's."""
    for step in STEPS:
        tonight = night.versions()
        command = renamed(step.command, SHOWN, tonight)
        printed = normal(night.checkout.shown(command), tonight)
        assert agrees(normal(step.output, SHOWN), printed), f"{command}\n{printed}"
        if step.command.endswith("rollback"):
            night.settle("healthy")
            night.traffic(50)


def test_a_transcript_that_is_wrong_is_seen() -> None:
    """Each way in which output may differ, or be cut."""
    assert agrees("a\n...\nd", "a\nb\nc\nd")
    assert agrees("a ... d", "a b c d")
    assert not agrees("a\nd", "a\nb\nc\nd")
    assert not agrees("a\n...\nd", "a\nb\nc\ne")
    assert not agrees("a", "a\nb")
