"""The registry's history survives torn lines, and any sequence of changes leads where a simple model leads."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.contract.schema import FeatureSchema
from app.errors import IntegrityError, RegistryError
from app.model.registry import HISTORY_FILE, POINTER_FILE, HistoryEntry, Registry
from tests.conftest import draft_of
from tests.unit.model.crafting import Scoring

SCHEMA = FeatureSchema()
SCORES = (0.1, 0.2, 0.3, 0.4)


@cache
def _workshop() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


@cache
def prepared() -> tuple[Path, tuple[str, ...]]:
    """A registry with four good versions and, last, a damaged one: to be copied, not changed."""
    registry = Registry(Path(_workshop().name) / "models", SCHEMA)
    versions = [registry.register(draft_of(SCHEMA, primary=Scoring(score))) for score in (*SCORES, 0.5)]
    damaged = registry.folder / versions[-1] / "primary.joblib"
    damaged.write_bytes(damaged.read_bytes() + b"\x00")
    return registry.folder, tuple(versions)


@pytest.fixture(scope="module", autouse=True)
def _tidy() -> object:
    yield
    _workshop().cleanup()
    _workshop.cache_clear()
    prepared.cache_clear()


class RegistryMachine(RuleBasedStateMachine):
    """Activations, rollbacks, failures, crashes, damage and torn lines in any order, against a stack."""

    def __init__(self) -> None:
        super().__init__()
        source, versions = prepared()
        *self.good, self.damaged = versions
        self.home = tempfile.TemporaryDirectory()
        folder = Path(self.home.name) / "models"
        shutil.copytree(source, folder)
        self.registry = Registry(folder, SCHEMA)
        self.stack: list[str] = []
        self.damaged_since: set[str] = set()
        self.changes: list[tuple[str, str, str | None]] = []
        self.registered = len(versions)

    def teardown(self) -> None:
        """Leaves nothing in the temporary folder."""
        self.home.cleanup()

    @property
    def top(self) -> str | None:
        """The version that must be active."""
        return self.stack[-1] if self.stack else None

    @rule(index=st.integers(0, len(SCORES) - 1))
    def activate(self, index: int) -> None:
        """A good version: pushed, unless it is the active one already."""
        version = self.good[index]
        if version in self.damaged_since:
            with pytest.raises(IntegrityError):
                self.registry.activate(version)
            return
        assert self.registry.activate(version) == self.top
        self.changes.append(("activate", version, self.top))
        if version != self.top:
            self.stack.append(version)

    @precondition(lambda self: len(self.stack) >= 2)
    @rule()
    def roll_back(self) -> None:
        """Pops, unless what it would lead to is no longer whole."""
        if self.stack[-2] in self.damaged_since:
            with pytest.raises(IntegrityError):
                self.registry.rollback()
            return
        left = self.stack.pop()
        assert self.registry.rollback() == self.top
        self.changes.append(("rollback", str(self.top), left))

    @precondition(lambda self: len(self.stack) < 2)
    @rule()
    def roll_back_too_far(self) -> None:
        """Refused."""
        with pytest.raises(RegistryError):
            self.registry.rollback()

    @rule()
    def activate_a_damaged_version(self) -> None:
        """Refused."""
        with pytest.raises(IntegrityError):
            self.registry.activate(self.damaged)

    @rule()
    def activate_an_unknown_version(self) -> None:
        """Refused."""
        with pytest.raises(RegistryError):
            self.registry.activate("unknown")

    @rule(length=st.integers(1, 60))
    def tear_a_line(self, length: int) -> None:
        """The machine went down in the middle of a write."""
        line = msgspec.json.encode(HistoryEntry("2024-01-01T00:00:00Z", "activate", self.good[0]))
        with (self.registry.folder / HISTORY_FILE).open("ab") as file:
            file.write(line[:length])

    @rule(index=st.integers(0, len(SCORES) - 1), action=st.sampled_from(["activate", "rollback"]))
    def die_before_the_pointer_moves(self, index: int, action: Literal["activate", "rollback"]) -> None:
        """The history tells of a change that has not come to be."""
        version = self.good[index]
        if version != self.top:
            self.registry._append(HistoryEntry("2024-01-01T00:00:00Z", action, version, self.top))
            self.changes.append((action, version, self.top))

    @rule(index=st.integers(0, len(SCORES) - 1))
    def damage(self, index: int) -> None:
        """A version that does not serve loses a byte."""
        version = self.good[index]
        if version != self.top:
            path = self.registry.folder / version / "primary.joblib"
            path.write_bytes(path.read_bytes()[:-1])
            self.damaged_since.add(version)

    @rule(name=st.sampled_from([".draft", ".ACTIVE.1", "notes"]))
    def leave_something_behind(self, name: str) -> None:
        """What is no version is none."""
        (self.registry.folder / name).mkdir(exist_ok=True)

    @rule()
    def open_again(self) -> None:
        """Another process."""
        self.registry = Registry(self.registry.folder, SCHEMA)

    @invariant()
    def the_pointer_and_the_history_are_what_happened(self) -> None:
        """No change is lost, none is invented."""
        assert self.registry.active() == self.top
        assert self.registry.previous() == (self.stack[-2] if len(self.stack) > 1 else None)
        found = [(entry.action, entry.version, entry.previous) for entry in self.registry.history()]
        assert found[self.registered :] == self.changes
        assert self.registry.versions() == sorted([*self.good, self.damaged])

    @invariant()
    def the_pointer_names_a_whole_version_or_none(self) -> None:
        """What it names can be served."""
        active = self.registry.active()
        assert active is None or not self.registry.load(active).refusals


RegistryMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestRegistryMachine = RegistryMachine.TestCase


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=80).filter(lambda garbage: not garbage.startswith((b"\n", b"\r"))))
@example(b'{"at":"2024-01-01T00:00:00Z","action":"activate","version":"2024')
@example(b'{"at":"2024-01-01T00:00:00Z","action":"activate","version":"\xff"}')
@example(b'{"at":"2024-01-01T00:00:00Z","action":"delete","version":"v1"}')
@example(b"\x00" * 40)
def test_a_torn_last_line_is_left_out(garbage: bytes) -> None:
    """Whatever bytes it ended in; and the next change stands on a line of its own."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "models"
        source, versions = prepared()
        shutil.copytree(source, folder)
        registry = Registry(folder, SCHEMA)
        registry.activate(versions[0])
        before = registry.history()
        with (folder / HISTORY_FILE).open("ab") as file:
            file.write(garbage)
        assert registry.history() == before
        registry.activate(versions[1])
        *earlier, last = registry.history()
        assert earlier == before
        assert (last.action, last.version, last.previous) == ("activate", versions[1], versions[0])
        assert registry.rollback() == versions[0]


def test_an_activation_that_came_to_nothing_is_no_step_later_either(registry: Registry, version: str) -> None:
    """Its process died before the pointer moved; others were activated since, and a rollback must not lead to it."""
    second, third = (registry.register(draft_of(SCHEMA, primary=Scoring(score))) for score in (0.1, 0.2))
    registry._append(HistoryEntry("2026-01-01T00:00:00Z", "activate", second, version))
    registry.activate(third)
    assert registry.rollback() == version


def test_a_pointer_set_by_hand_is_a_step_later_too(registry: Registry, version: str) -> None:
    """The next change says what it found."""
    second, third = (registry.register(draft_of(SCHEMA, primary=Scoring(score))) for score in (0.1, 0.2))
    (registry.folder / POINTER_FILE).write_text(second)
    registry.activate(third)
    assert [registry.rollback(), registry.rollback()] == [second, version]
