"""The dependency audit: a package that was not checked is a failure, not a silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.audit_dependencies import main, pins, problems_in

PINNED = {"flask": "3.1.3", "typing-extensions": "4.1"}


def report(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"dependencies": list(entries)}


def clean(name: str, version: str) -> dict[str, Any]:
    return {"name": name, "version": version, "vulns": []}


def test_all_pins_checked_and_clean_is_no_problem() -> None:
    """However the names are spelled."""
    assert problems_in(report(clean("Flask", "3.1.3"), clean("typing_extensions", "4.1")), PINNED) == []


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param(None, "flask 3.1.3 was not checked: it is not in pip-audit's report", id="not there"),
        pytest.param(
            {"name": "flask", "skip_reason": "not found"}, "flask 3.1.3 was not checked: not found", id="skipped"
        ),
        pytest.param(
            clean("flask", "3.1.2"), "flask 3.1.3 was not checked: it is not in pip-audit's report", id="other version"
        ),
        pytest.param(
            {"name": "flask", "version": "3.1.3", "vulns": [{"id": "GHSA-1", "fix_versions": ["3.1.4"]}]},
            "flask 3.1.3: GHSA-1, mended in 3.1.4", id="vulnerable",
        ),
        pytest.param(
            {"name": "flask", "version": "3.1.3", "vulns": [{"id": "GHSA-1", "fix_versions": []}]},
            "flask 3.1.3: GHSA-1, mended in no version yet", id="vulnerable and not mended",
        ),
    ],
)  # fmt: skip
def test_everything_else_is(entry: dict[str, Any] | None, expected: str) -> None:
    """With the package and the reason."""
    entries = [clean("typing-extensions", "4.1"), *([entry] if entry else [])]
    assert problems_in(report(*entries), PINNED) == [expected]


def test_an_empty_report_is_no_clean_bill() -> None:
    """What pip-audit gives where it could reach nothing."""
    assert len(problems_in(report(), PINNED)) == 2


def test_every_pin_of_a_lock_file_is_found() -> None:
    """As many as the locked requirements have entries, hashes and markers aside."""
    text = Path("requirements.txt").read_text()
    assert pins(text)["flask"]
    assert len(pins(text)) == text.count("==") == len({line for line in text.splitlines() if "==" in line})
    assert pins('a[b]==1.0 ; python_version < "4" \\\n    --hash=sha256:x\nB_c==2\n') == {"a": "1.0", "b-c": "2"}


def test_nothing_to_audit_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """A forgotten argument must not look like success."""
    assert main([]) == 1
