"""Whom a version is taken from: signatures where there is a key, and the libraries it was made with."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

import pytest

from app.contract.schema import FeatureSchema
from app.errors import BundleError, SignatureError
from app.model.manifest import (
    MANIFEST_FILE,
    SIGNATURE_FILE,
    Manifest,
    current_environment,
    environment_differences,
    read_manifest,
    signature,
)
from app.model.registry import Registry
from tests.conftest import draft_of, fitted_logistic
from tests.unit.model.crafting import edit_manifest

KEY = b"a key"


@pytest.fixture
def folder(registry: Registry, version: str) -> Path:
    """A version that is not signed."""
    return registry.folder / version


@pytest.fixture
def manifest(folder: Path) -> Manifest:
    return read_manifest(folder)


def sign(folder: Path, key: bytes = KEY) -> None:
    """Signs the manifest as it lies there."""
    (folder / SIGNATURE_FILE).write_text(signature((folder / MANIFEST_FILE).read_bytes(), key) + "\n")


def test_the_signature_is_an_hmac_with_sha_256() -> None:
    """So that other tools can make and check it."""
    assert signature(b"document", KEY) == hmac.new(KEY, b"document", hashlib.sha256).hexdigest()


def test_a_good_signature_is_accepted(folder: Path, manifest: Manifest) -> None:
    """With or without the line break at its end."""
    sign(folder)
    assert read_manifest(folder, KEY) == manifest
    (folder / SIGNATURE_FILE).write_text((folder / SIGNATURE_FILE).read_text().strip())
    assert read_manifest(folder, KEY) == manifest


def test_without_a_key_nothing_is_asked(folder: Path, manifest: Manifest) -> None:
    """Signed or not, well or badly."""
    (folder / SIGNATURE_FILE).write_text("nonsense")
    assert read_manifest(folder) == manifest


MISSING = "MODEL_SIGNING_KEY is set, but the signature is missing or unreadable"
WRONG = "the signature does not match the manifest and MODEL_SIGNING_KEY"


def _edit(folder: Path) -> None:
    sign(folder)
    edit_manifest(folder, lambda document: document["stages"]["primary"].update(threshold=0.99))


def _edit_to_nonsense(folder: Path) -> None:
    sign(folder)
    (folder / MANIFEST_FILE).write_bytes(b"{")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        pytest.param(lambda folder: None, MISSING, id="missing"),
        pytest.param(lambda folder: (folder / SIGNATURE_FILE).write_bytes(b"\xff" * 64), MISSING, id="not text"),
        pytest.param(lambda folder: sign(folder, b"another key"), WRONG, id="made with another key"),
        pytest.param(lambda folder: (folder / SIGNATURE_FILE).write_text(""), WRONG, id="empty"),
        pytest.param(lambda folder: (folder / SIGNATURE_FILE).write_text("é" * 64), WRONG, id="not ASCII"),
        pytest.param(_edit, WRONG, id="manifest edited afterwards"),
        pytest.param(_edit_to_nonsense, WRONG, id="manifest replaced by nonsense, before it is even read"),
    ],
)
def test_any_other_signature_is_refused(folder: Path, damage: Callable[[Path], object], problem: str) -> None:
    """Where there is a key."""
    damage(folder)
    with pytest.raises(SignatureError) as caught:
        read_manifest(folder, KEY)
    assert str(caught.value) == f"{folder / SIGNATURE_FILE}: {problem}"


def test_the_own_environment_differs_in_nothing() -> None:
    """Neither refusal nor warning."""
    assert set(current_environment()) == {"python", "numpy", "scikit-learn", "joblib", "pandas"}
    assert environment_differences(current_environment()) == ([], [])


HERE = current_environment()
MINOR = ".".join(HERE["python"].split(".")[:2])


@pytest.mark.parametrize(
    ("recorded", "refusals", "warnings"),
    [
        pytest.param(
            {"numpy": "1.0"}, [f"numpy 1.0 there, {HERE['numpy']} here"], [], id="numpy"
        ),
        pytest.param(
            {"scikit-learn": "0.1"}, [f"scikit-learn 0.1 there, {HERE['scikit-learn']} here"], [], id="scikit-learn"
        ),
        pytest.param({"joblib": "0.1"}, [f"joblib 0.1 there, {HERE['joblib']} here"], [], id="joblib"),
        pytest.param(
            {"joblib": "0", "numpy": "0"},
            [f"numpy 0 there, {HERE['numpy']} here", f"joblib 0 there, {HERE['joblib']} here"], [], id="two at once",
        ),
        pytest.param({"pandas": "0.1"}, [], [], id="pandas decides nothing"),
        pytest.param({"python": f"{MINOR}.99"}, [], [], id="a patch release of Python"),
        pytest.param(
            {"python": "3.9.1"}, [], [f"python 3.9.1 there, {HERE['python']} here"], id="another minor of Python"
        ),
        pytest.param(
            {"python": f"{MINOR}9.0"}, [], [f"python {MINOR}9.0 there, {HERE['python']} here"],
            id="a minor that starts alike",
        ),
    ],
)  # fmt: skip
def test_differences_refuse_or_warn(recorded: dict[str, str], refusals: list[str], warnings: list[str]) -> None:
    """A sentence each."""
    assert environment_differences(HERE | recorded) == (refusals, warnings)


@pytest.mark.parametrize("name", ["numpy", "scikit-learn", "joblib"])
def test_a_decisive_version_that_was_not_recorded_refuses(name: str) -> None:
    """Silence is no proof."""
    recorded = {library: number for library, number in HERE.items() if library != name}
    assert environment_differences(recorded) == ([f"{name} unrecorded there, {HERE[name]} here"], [])


def test_versions_are_signed_anew_once_all_pass_with_the_old_key(
    registry: Registry, schema: FeatureSchema, version: str, folder: Path
) -> None:
    """Files and pointer stay as they are."""
    sign(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != SIGNATURE_FILE}
    Registry(registry.folder, schema, KEY).sign([version], b"another key")
    assert Registry(registry.folder, schema, b"another key").verify(version).version == version
    with pytest.raises(SignatureError):
        Registry(registry.folder, schema, KEY).verify(version)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != SIGNATURE_FILE} == before
    assert registry.active() == version


@pytest.mark.parametrize("damage", ["a signature by somebody else", "a changed file"])
def test_where_one_version_does_not_pass_none_is_signed(
    damage: str, registry: Registry, schema: FeatureSchema, version: str, folder: Path
) -> None:
    """Else whoever rotates a key would vouch for what lies there."""
    second = registry.folder / registry.register(draft_of(schema, primary=fitted_logistic(schema, 5)))
    sign(folder)
    sign(second, KEY if damage == "a changed file" else b"somebody else's")
    if damage == "a changed file":
        (second / "primary.joblib").write_bytes(b"x")
    with pytest.raises(BundleError):
        Registry(registry.folder, schema, KEY).sign([version, second.name], b"another key")
    assert read_manifest(folder, KEY).version == version
