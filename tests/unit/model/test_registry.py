"""The registry: versions come, become active and go back; whatever fails changes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from app.contract.schema import FeatureSchema
from app.errors import (
    RegistryError,
)
from app.model.registry import POINTER_FILE, HistoryEntry, Registry
from tests.conftest import draft_of
from tests.unit.model.crafting import Scoring

SCHEMA = FeatureSchema()


def register(registry: Registry, score: float) -> str:
    """A version whose one stage gives every row `score`."""
    return registry.register(draft_of(SCHEMA, primary=Scoring(score)))


@pytest.fixture
def three(registry: Registry) -> list[str]:
    """Three registered versions, none active."""
    return [register(registry, score) for score in (0.1, 0.2, 0.3)]


def state(registry: Registry) -> tuple[str | None, list[HistoryEntry], set[str]]:
    """Everything a change could change."""
    return registry.active(), registry.history(), {path.name for path in registry.folder.iterdir()}


def test_a_registry_that_was_never_written_to_is_empty(registry: Registry) -> None:
    """Reading makes no folder."""
    assert (registry.versions(), registry.active(), registry.history()) == ([], None, [])
    assert not registry.folder.exists()


def test_registering_activates_nothing(registry: Registry) -> None:
    """It adds a version and a line of history."""
    version = register(registry, 0.5)
    assert registry.versions() == [version]
    assert registry.active() is None
    (entry,) = registry.history()
    assert (entry.action, entry.version, entry.previous) == ("register", version, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry.at)


def test_versions_are_listed_in_the_order_of_their_names(registry: Registry, three: list[str]) -> None:
    """Names start with the time; drafts, strangers and folders without a manifest are none."""
    (registry.folder / ".draft").mkdir()
    (registry.folder / ".draft" / "manifest.json").write_text("{}")
    (registry.folder / "notes").mkdir()
    assert registry.versions() == sorted(three)


def test_activating_moves_the_pointer_and_says_what_was_before(registry: Registry, three: list[str]) -> None:
    """The pointer is a plain file with a plain name in it."""
    assert registry.activate(three[0]) is None
    assert registry.activate(three[1]) == three[0]
    assert registry.active() == three[1]
    assert (registry.folder / POINTER_FILE).read_text() == f"{three[1]}\n"
    changes = [(entry.action, entry.version, entry.previous) for entry in registry.history()[3:]]
    assert changes == [("activate", three[0], None), ("activate", three[1], three[0])]


def test_a_reader_of_the_old_pointer_reads_it_to_the_end(registry: Registry, three: list[str]) -> None:
    """The pointer is replaced, never rewritten: a worker that looks at the same moment sees one name, whole."""
    registry.activate(three[0])
    with (registry.folder / POINTER_FILE).open() as reader:
        registry.activate(three[1])
        assert reader.read() == f"{three[0]}\n"


def test_another_registry_object_sees_the_same(registry: Registry, three: list[str]) -> None:
    """All state is on disk."""
    registry.activate(three[2])
    other = Registry(registry.folder, SCHEMA)
    assert state(other) == state(registry)
    assert other.load(three[2]).version == three[2]


def test_rolling_back_returns_to_the_version_before(registry: Registry, three: list[str]) -> None:
    """And the history says so."""
    registry.activate(three[0])
    registry.activate(three[1])
    assert registry.rollback() == three[0]
    assert registry.active() == three[0]
    last = registry.history()[-1]
    assert (last.action, last.version, last.previous) == ("rollback", three[0], three[1])


def test_rolling_back_twice_goes_back_two_versions(registry: Registry, three: list[str]) -> None:
    """Not forth again to the one that was left."""
    for version in three:
        registry.activate(version)
    assert [registry.rollback(), registry.rollback()] == [three[1], three[0]]
    with pytest.raises(RegistryError, match=r"^there is no earlier version to roll back to$"):
        registry.rollback()
    assert registry.active() == three[0]


def test_activating_after_a_rollback_starts_from_there(registry: Registry, three: list[str]) -> None:
    """The version that was left is not in the way."""
    registry.activate(three[0])
    registry.activate(three[1])
    registry.rollback()
    registry.activate(three[2])
    assert registry.rollback() == three[0]


def test_activating_the_active_version_again_is_no_step(registry: Registry, three: list[str]) -> None:
    """A rollback then goes to what was served before it."""
    registry.activate(three[0])
    registry.activate(three[1])
    assert registry.activate(three[1]) == three[1]
    assert registry.rollback() == three[0]


def test_a_pointer_set_by_hand_counts_as_an_activation(registry: Registry, three: list[str]) -> None:
    """A rollback leaves the version that is served, whoever chose it."""
    registry.activate(three[0])
    (registry.folder / POINTER_FILE).write_text(three[1])
    assert registry.active() == three[1]
    assert registry.rollback() == three[0]


@pytest.mark.parametrize("activations", [pytest.param(0, id="nothing active"), pytest.param(1, id="one ever active")])
def test_there_may_be_nothing_to_roll_back_to(registry: Registry, three: list[str], activations: int) -> None:
    """Then nothing changes."""
    for version in three[:activations]:
        registry.activate(version)
    before = state(registry)
    with pytest.raises(RegistryError, match=r"^there is no earlier version to roll back to$"):
        registry.rollback()
    assert state(registry) == before


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("nope", id="never registered"),
        pytest.param("", id="empty"),
        pytest.param(".", id="the folder itself"),
        pytest.param("../models", id="a way around"),
        pytest.param("ACTIVE", id="the pointer"),
    ],
)
def test_an_unknown_version_is_refused_with_those_that_there_are(
    registry: Registry, three: list[str], name: str
) -> None:
    """By every operation; nothing changes."""
    registry.activate(three[0])
    before = state(registry)
    message = f"no version {name!r} in {registry.folder}; registered: {', '.join(sorted(three))}"
    operations: list[Callable[[str], Any]] = [
        registry.activate, registry.load, registry.verify, registry.manifest,
    ]  # fmt: skip
    for operation in operations:
        with pytest.raises(RegistryError) as caught:
            operation(name)
        assert str(caught.value) == message
    assert state(registry) == before
