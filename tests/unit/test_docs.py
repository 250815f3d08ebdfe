"""Documentation that cannot drift."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.contract.problems import number_text
from app.contract.schema import FeatureSchema
from app.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def settings_table() -> str:
    """The README's table of settings, as it must be."""
    shown = {"web_concurrency": "CPUs available", "runtime_dir": "a folder in `/dev/shm`"}
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = shown.get(name) or ("" if field.default is None else f"`{_text(field.default)}`")
        lines.append(f"| `{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines)


def _text(default: object) -> str:
    return str(int(default)) if isinstance(default, bool) else str(default)


def test_the_readme_lists_every_setting_with_its_default_and_meaning() -> None:
    """The table is the settings' own words."""
    assert settings_table() in README


@pytest.mark.parametrize("feature", FeatureSchema().features, ids=lambda feature: feature.name)
def test_the_readme_describes_every_feature(feature: object) -> None:
    """Name, range and meaning are the contract's own."""
    from app.contract.schema import Feature

    assert isinstance(feature, Feature)
    span = f"{number_text(feature.low)} .. {number_text(feature.high)}"
    assert f"| `{feature.name}` | {span} | {feature.description} |" in README


def test_the_readme_names_every_event() -> None:
    """What is logged under a stable name is what people search for."""
    source = "\n".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))
    events = set(re.findall(r"""log\.(?:info|warning|error|exception)\(\s*"([a-z]+\.[a-z]+)\"""", source))
    events |= set(re.findall(r"""(?:event=|"event": )"([a-z]+\.[a-z]+)\"""", source))
    events |= set(re.findall(r"""(?:head|_without_answer)\(\s*"[a-z]+",\s*"([a-z]+\.[a-z]+)\"""", source))
    assert {"prediction.served", "prediction.rejected", "batch.failed", "feedback.received"} <= events
    assert len(events) >= 15
    assert {event for event in events if f"`{event}`" not in README} == set()


def test_the_readme_names_no_target_that_the_makefile_lacks() -> None:
    """Every `make ...` in the README exists."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)`", README, re.MULTILINE))
    assert {first or second for first, second in named} <= targets


if __name__ == "__main__":
    print(settings_table())
