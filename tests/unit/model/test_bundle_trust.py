"""Hash before unpickle, always: whatever is refused is refused before one byte of it is trusted.

Each version here holds bombs: files that leave a trace when they are unpickled.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.contract.schema import Feature, FeatureSchema
from app.errors import (
    BundleError,
    ContractMismatchError,
    EnvironmentMismatchError,
    IntegrityError,
    ManifestError,
    SignatureError,
    UnlistedFileError,
)
from app.model.bundle import load_bundle, verify_files
from app.model.manifest import MANIFEST_FILE, SIGNATURE_FILE
from app.model.registry import Registry
from tests.unit.model.crafting import Bomb, Document, edit_manifest, plant_bomb


class Boiler(FeatureSchema):
    features = (Feature("temperature", 0, 1, "", 0.5),)


@pytest.fixture
def folder(registry: Registry, version: str) -> Path:
    return registry.folder / version


@pytest.fixture
def trace(folder: Path) -> Path:
    """Exists once one of the version's two bombs went off."""
    return plant_bomb(folder, "primary", "fallback")


def flip_a_bit(path: Path, place: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_version_in_order_is_unpickled(folder: Path, trace: Path, schema: FeatureSchema) -> None:
    """The bombs do go off: without this the tests below would prove nothing."""
    assert not trace.exists()
    bundle = load_bundle(folder, schema)
    assert trace.exists()
    assert dict(bundle.refusals) == {}


def record(name: str, number: str | None) -> Callable[[Document], object]:
    """A change of one recorded library version; None removes it."""

    def change(document: Document) -> None:
        document["environment"][name] = number
        if number is None:
            del document["environment"][name]

    return change


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        pytest.param(record("scikit-learn", "0.1"), EnvironmentMismatchError, "scikit-learn 0.1 there", id="sklearn"),
        pytest.param(record("numpy", "1.0"), EnvironmentMismatchError, "numpy 1.0 there", id="numpy"),
        pytest.param(record("joblib", "0.9"), EnvironmentMismatchError, "joblib 0.9 there", id="joblib"),
        pytest.param(record("numpy", None), EnvironmentMismatchError, "numpy unrecorded there", id="unrecorded numpy"),
        pytest.param(lambda d: d.update(format=99), ManifestError, "format 99", id="format"),
        pytest.param(lambda d: d.update(version="other"), ManifestError, "describes version 'other'", id="version"),
        pytest.param(lambda d: d.pop("stages"), ManifestError, "stages", id="no stages"),
        pytest.param(lambda d: d.update(golden_rows=[]), ManifestError, "golden_rows", id="no golden rows"),
        pytest.param(
            lambda d: (d["features"].reverse(), d),
            ContractMismatchError,
            "trained for the features",
            id="feature order",
        ),
    ],
)
def test_a_refused_version_is_not_unpickled(
    folder: Path, trace: Path, schema: FeatureSchema, change: Callable[[Document], object], error: type[BundleError],
    message: str,
) -> None:  # fmt: skip
    """Manifest, contract and environment come before the files."""
    edit_manifest(folder, change)
    with pytest.raises(error, match=message):
        load_bundle(folder, schema)
    assert not trace.exists()


def test_a_version_for_other_features_is_not_unpickled(folder: Path, trace: Path) -> None:
    """A service with another contract refuses it and names both lists."""
    with pytest.raises(ContractMismatchError, match=r"this service serves \['temperature'\]$"):
        load_bundle(folder, Boiler())
    assert not trace.exists()


def _unsigned(folder: Path) -> None:
    pass


def _wrongly_signed(folder: Path) -> None:
    (folder / SIGNATURE_FILE).write_text("0" * 64)


@pytest.mark.parametrize("damage", [pytest.param(_unsigned, id="unsigned"), pytest.param(_wrongly_signed, id="wrong")])
def test_a_version_without_a_valid_signature_is_not_unpickled(
    folder: Path, trace: Path, schema: FeatureSchema, damage: Callable[[Path], None]
) -> None:
    """Where there is a key."""
    damage(folder)
    with pytest.raises(SignatureError):
        load_bundle(folder, schema, b"key")
    assert not trace.exists()


def test_a_version_without_a_manifest_is_not_unpickled(folder: Path, trace: Path, schema: FeatureSchema) -> None:
    """Nothing vouches for it."""
    (folder / MANIFEST_FILE).unlink()
    with pytest.raises(ManifestError):
        load_bundle(folder, schema)
    assert not trace.exists()


def _tamper(path: Path) -> None:
    flip_a_bit(path)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\x00")


def _make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _unlist(path: Path) -> None:
    edit_manifest(path.parent, lambda document: document["files"].pop(path.name))


DAMAGES = [
    pytest.param(_tamper, IntegrityError, id="one bit flipped"),
    pytest.param(_truncate, IntegrityError, id="a byte short"),
    pytest.param(_empty, IntegrityError, id="empty"),
    pytest.param(_lengthen, IntegrityError, id="a byte long"),
    pytest.param(Path.unlink, ManifestError, id="missing"),
    pytest.param(_make_folder, ManifestError, id="a folder in its place"),
    pytest.param(_unlist, UnlistedFileError, id="unlisted"),
]


@pytest.mark.parametrize(("damage", "error"), DAMAGES)
def test_damaged_files_are_not_unpickled(
    folder: Path, trace: Path, schema: FeatureSchema, damage: Callable[[Path], None], error: type[BundleError]
) -> None:
    """Both stages damaged: both refused for the right reason, and no estimator is left."""
    for stage in ("primary", "fallback"):
        damage(folder / f"{stage}.joblib")
    bundle = load_bundle(folder, schema)
    assert {stage: type(refusal) for stage, refusal in bundle.refusals.items()} == {"primary": error, "fallback": error}
    assert dict(bundle.estimators) == {}
    assert not trace.exists()


@pytest.mark.parametrize(("damage", "error"), DAMAGES)
def test_one_damaged_stage_does_not_take_the_other_along(
    folder: Path, schema: FeatureSchema, damage: Callable[[Path], None], error: type[BundleError]
) -> None:
    """Only the primary is damaged: the fallback still loads."""
    trace = plant_bomb(folder, "primary")
    damage(folder / "primary.joblib")
    bundle = load_bundle(folder, schema)
    assert type(bundle.refusals["primary"]) is error
    assert "primary.joblib" in str(bundle.refusals["primary"])
    assert list(bundle.estimators) == ["fallback"]
    assert bundle.estimators["fallback"].predict_proba(bundle.golden_rows).shape == (20, 2)
    assert not trace.exists()


def test_a_refusal_carries_both_digests(folder: Path, schema: FeatureSchema) -> None:
    """So that one can tell a damaged disk from a replaced file."""
    flip_a_bit(folder / "primary.joblib", 10)
    refusal = load_bundle(folder, schema).refusals["primary"]
    assert isinstance(refusal, IntegrityError)
    assert refusal.path == folder / "primary.joblib"
    assert len(refusal.expected) == len(refusal.actual) == 64
    assert refusal.expected != refusal.actual
    assert {refusal.expected, refusal.actual} <= set(str(refusal).replace(",", " ").split())


def test_a_stray_file_is_never_opened(folder: Path, schema: FeatureSchema, logistic: Any) -> None:
    """Loading warns of it, verifying refuses it, nobody unpickles it."""
    trace = folder.parent / "a bomb went off"
    (folder / "third.joblib").write_bytes(pickle.dumps(Bomb(trace)))
    bundle = load_bundle(folder, schema)
    assert bundle.warnings == (f"{folder / 'third.joblib'}: not listed in the manifest",)
    assert set(bundle.estimators) == {"primary", "fallback"}
    with pytest.raises(UnlistedFileError, match=r"third\.joblib: not listed in the manifest$"):
        verify_files(folder)
    assert not trace.exists()


@pytest.mark.parametrize(("damage", "error"), DAMAGES)
def test_verifying_finds_the_same_damage_and_unpickles_nothing(
    folder: Path, trace: Path, damage: Callable[[Path], None], error: type[BundleError]
) -> None:
    """A file the manifest does not list counts as stray."""
    verify_files(folder)
    damage(folder / "fallback.joblib")
    with pytest.raises(error):
        verify_files(folder)
    assert not trace.exists()
