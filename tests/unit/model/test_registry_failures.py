"""Whatever fails changes nothing: bad versions, missing signatures, full disks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.contract.schema import FeatureSchema
from app.errors import (
    BundleError,
    EnvironmentMismatchError,
    GoldenRowsError,
    IntegrityError,
    ManifestError,
    ServiceError,
    SignatureError,
    UnlistedFileError,
)
from app.model.registry import HISTORY_FILE, HistoryEntry, Registry
from tests.conftest import draft_of
from tests.unit.model.crafting import Document, Scoring, edit_manifest, files_limited_to, plant_bomb

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


def _flip(folder: Path) -> None:
    path = folder / "primary.joblib"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")


def _edited(change: Callable[[Document], object]) -> Callable[[Path], None]:
    return lambda folder: edit_manifest(folder, change)


BAD: list[Any] = [
    pytest.param(_flip, IntegrityError, id="another byte"),
    pytest.param(lambda folder: (folder / "primary.joblib").unlink(), ManifestError, id="a file is missing"),
    pytest.param(lambda folder: (folder / "stray").touch(), UnlistedFileError, id="a stray file"),
    pytest.param(_edited(lambda d: d.update(format=7)), ManifestError, id="another format"),
    pytest.param(_edited(lambda d: d["environment"].update(numpy="1")), EnvironmentMismatchError, id="another numpy"),
    pytest.param(
        _edited(lambda d: d["stages"]["primary"]["golden_scores"].reverse() or d["golden_rows"].pop()),
        ManifestError,
        id="golden rows that do not fit",
    ),
    pytest.param(
        _edited(lambda d: d["stages"]["primary"]["golden_scores"].__setitem__(0, 0.9)),
        GoldenRowsError,
        id="another promise",
    ),
]


@pytest.mark.parametrize(("damage", "error"), BAD)
def test_activating_a_bad_version_changes_nothing(
    registry: Registry, three: list[str], damage: Callable[[Path], None], error: type[BundleError]
) -> None:
    """The pointer stays on the good one."""
    registry.activate(three[0])
    damage(registry.folder / three[1])
    before = state(registry)
    with pytest.raises(error):
        registry.activate(three[1])
    assert state(registry) == before


@pytest.mark.parametrize(("damage", "error"), BAD)
def test_rolling_back_to_a_bad_version_changes_nothing(
    registry: Registry, three: list[str], damage: Callable[[Path], None], error: type[BundleError]
) -> None:
    """What serves goes on serving."""
    registry.activate(three[1])
    registry.activate(three[0])
    damage(registry.folder / three[1])
    before = state(registry)
    with pytest.raises(error):
        registry.rollback()
    assert state(registry) == before


def test_with_a_key_unsigned_versions_are_refused(registry: Registry, three: list[str]) -> None:
    """And the ones it registers itself are signed."""
    signing = Registry(registry.folder, SCHEMA, b"key")
    trace = plant_bomb(registry.folder / three[0], "primary")
    for operation in (signing.activate, signing.verify, signing.load, signing.manifest):
        with pytest.raises(SignatureError, match="signature is missing"):
            operation(three[0])
    assert not trace.exists()
    signed = register(signing, 0.9)
    signing.activate(signed)
    assert registry.active() == signed


def test_a_history_that_cannot_be_written_stops_the_activation(registry: Registry, three: list[str]) -> None:
    """On a full disk the pointer must not move without a word of it: nothing has changed, and the error says why."""
    registry.activate(three[0])
    before = state(registry)
    room = (registry.folder / HISTORY_FILE).stat().st_size
    with files_limited_to(room), pytest.raises(ServiceError):
        registry.activate(three[1])
    assert state(registry) == before
    assert registry.activate(three[1]) == three[0]


def test_a_pointer_that_cannot_be_written_stays(registry: Registry, three: list[str]) -> None:
    """The old one is whole, and the error is the registry's own."""
    registry.activate(three[0])
    with files_limited_to(4), pytest.raises(ServiceError):
        registry.activate(three[1])
    assert registry.active() == three[0]
    assert registry.activate(three[1]) == three[0]
