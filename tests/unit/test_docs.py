"""Documentation that cannot drift."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.contract.problems import number_text
from app.contract.schema import FeatureSchema
from app.settings import Settings
from tests.documents.blocks import blocks, documents
from tests.unit.test_layers import ALLOWED

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


def test_the_readme_draws_every_layer_above_what_it_imports() -> None:
    """One picture per file of the layers themselves, so that neither forgets a room."""
    (picture,) = [block.text for block in blocks("README.md", "text") if "app/errors" in block.text]
    assert_drawn_from_the_layers(picture, prefix="app/")


def test_the_architecture_lists_every_room_above_what_it_imports() -> None:
    """Its table of rooms."""
    (table,) = [block.text for block in blocks("docs/architecture.md", "text")]
    assert_drawn_from_the_layers("\n".join(line[:29] for line in table.splitlines()), prefix="")


def assert_drawn_from_the_layers(picture: str, prefix: str) -> None:
    lines = picture.splitlines()
    drawn = {
        room: [at for at, line in enumerate(lines) if re.search(rf"(?<!\S){prefix}{room}(?!\S)", line)]
        for room in ALLOWED
    }
    assert [room for room, places in drawn.items() if len(places) != 1] == []
    upward = [(room, below) for room, allowed in ALLOWED.items() for below in allowed if drawn[room] >= drawn[below]]
    assert upward == []


def test_every_file_that_a_document_links_to_is_there() -> None:
    """And every heading within it."""
    for document in documents():
        folder = (ROOT / document).parent
        for path, _, heading in re.findall(r"\]\((?!https?:)([^)#]*)(#([^)]*))?\)", (ROOT / document).read_text()):
            target = folder / path if path else ROOT / document
            assert target.is_file(), f"{document}: {path}"
            assert not heading or heading in anchors(target), f"{document}: {path}#{heading}"


def anchors(path: Path) -> set[str]:
    """Where links into a document may point."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_the_page_on_reliability_counts_the_corpus() -> None:
    """Each group with its number of requests, and all of them."""
    page, corpus = (ROOT / "docs" / "reliability.md").read_text(), ROOT / "tests" / "corpus"
    counts = {folder.name: len(list(folder.glob("*.toml"))) for folder in corpus.iterdir() if folder.is_dir()}
    assert dict(re.findall(r"^\| `([a-z]+)` \| (\d+) \|", page, re.MULTILINE)) == {
        group: str(count) for group, count in counts.items()
    }
    assert f"{sum(counts.values())} requests, a file each" in page


if __name__ == "__main__":
    print(settings_table())
