"""The registry's history survives torn lines, and any sequence of changes leads where a simple model leads."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.contract.schema import FeatureSchema
from app.errors import IntegrityError, RegistryError
from app.model.registry import HISTORY_FILE, HistoryEntry, Registry
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
    """Activations, rollbacks, failures and torn lines in any order, against a stack."""

    def __init__(self) -> None:
        super().__init__()
        source, versions = prepared()
        *self.good, self.damaged = versions
        self.home = tempfile.TemporaryDirectory()
        folder = Path(self.home.name) / "models"
        shutil.copytree(source, folder)
        self.registry = Registry(folder, SCHEMA)
        self.stack: list[str] = []
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
        assert self.registry.activate(version) == self.top
        self.changes.append(("activate", version, self.top))
        if version != self.top:
            self.stack.append(version)

    @precondition(lambda self: len(self.stack) >= 2)
    @rule()
    def roll_back(self) -> None:
        """Pops."""
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


RegistryMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=15, deadline=None)
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
