"""The manifest: what was written is what is read, and what contradicts itself is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from app.errors import ManifestError
from app.model.manifest import (
    MANIFEST_FILE,
    Bins,
    FileEntry,
    Manifest,
    StageEntry,
    Training,
    current_environment,
    encode,
    read_manifest,
)
from tests.unit.model.crafting import Document, edit_manifest

KEY = b"a key"


def a_manifest(version: str) -> Manifest:
    """A small one that is in order."""
    return Manifest(
        format=1,
        version=version,
        created="2024-05-06T07:08:09Z",
        features=["a", "b"],
        environment=current_environment(),
        files={"primary.joblib": FileEntry("0" * 64), "card.md": FileEntry("1" * 64)},
        stages={"primary": StageEntry("primary.joblib", 0.25, [0.125, 1 / 3])},
        golden_rows=[[1.0, 2.0], [0.1, 1e6]],
        reference={"a": Bins([0, 0.5, 1], [0.75, 0.25])},
        training=Training("flask train --seed 7", "synthetic", "2" * 64, 100),
        metrics={"primary": {"f1": 0.5}},
        agreement={"fallback": 0.875},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A version's folder that holds a manifest and nothing else."""
    path = tmp_path / "v1"
    path.mkdir()
    (path / MANIFEST_FILE).write_bytes(encode(a_manifest("v1")))
    return path


def test_what_was_written_is_what_is_read(folder: Path) -> None:
    """Every field and every bit of every number."""
    assert read_manifest(folder) == a_manifest("v1")


def test_the_document_is_for_eyes_too(folder: Path) -> None:
    """Indented, and ends with a line break."""
    text = (folder / MANIFEST_FILE).read_text()
    assert text.startswith('{\n  "format": 1,\n')
    assert text.endswith("}\n")


def test_fields_with_a_default_may_be_absent(folder: Path) -> None:
    """Metrics and agreement are extras."""
    edit_manifest(folder, lambda document: [document.pop(name) for name in ("metrics", "agreement")])
    manifest = read_manifest(folder)
    assert (manifest.metrics, manifest.agreement) == ({}, {})


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(lambda d: d.update(format=2), "format 2, this service reads format 1", id="another format"),
        pytest.param(
            lambda d: d.update(version="v2"), "describes version 'v2', but lies in 'v1'", id="another version's"
        ),
        pytest.param(
            lambda d: d.update(golden_rows=[]), "golden_rows must be rows of all features, at least one",
            id="no golden rows",
        ),
        pytest.param(
            lambda d: d["golden_rows"].append([1.0]), "golden_rows must be rows of all features, at least one",
            id="a golden row of another width",
        ),
        pytest.param(
            lambda d: d["stages"].update(secondary=d["stages"]["primary"]), "unknown stage 'secondary'",
            id="an unknown stage",
        ),
        pytest.param(
            lambda d: d["stages"]["primary"]["golden_scores"].pop(), "primary: 1 golden scores for 2 golden rows",
            id="too few golden scores",
        ),
        pytest.param(
            lambda d: d["stages"]["primary"].update(file="../v2/primary.joblib"),
            "'../v2/primary.joblib' is not a plain file name", id="a stage's file elsewhere",
        ),
        pytest.param(
            lambda d: d["stages"]["primary"].update(file="/etc/passwd"), "'/etc/passwd' is not a plain file name",
            id="a stage's file with an absolute path",
        ),
        pytest.param(
            lambda d: d["files"].update({"sub/file": d["files"]["card.md"]}), "'sub/file' is not a plain file name",
            id="a listed file in a folder",
        ),
        pytest.param(
            lambda d: d["files"].update({"..": d["files"]["card.md"]}), "'..' is not a plain file name",
            id="the folder above",
        ),
        pytest.param(
            lambda d: d["files"].update({".hidden": d["files"]["card.md"]}), "'.hidden' is not a plain file name",
            id="a hidden file",
        ),
    ],
)  # fmt: skip
def test_a_manifest_that_contradicts_itself_is_refused(
    folder: Path, change: Callable[[Document], object], problem: str
) -> None:
    """With the path and what is wrong."""
    edit_manifest(folder, change)
    with pytest.raises(ManifestError) as caught:
        read_manifest(folder)
    assert str(caught.value) == f"{folder / MANIFEST_FILE}: {problem}"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        pytest.param(lambda d: d.pop("features"), "features", id="a field is missing"),
        pytest.param(lambda d: d.update(signed=True), "signed", id="an unknown field"),
        pytest.param(lambda d: d["stages"]["primary"].update(threshold="0.5"), "threshold", id="a string for a number"),
        pytest.param(lambda d: d["stages"]["primary"].update(threshold=None), "threshold", id="null for a number"),
        pytest.param(lambda d: d["files"]["card.md"].pop("sha256"), "sha256", id="a file without a digest"),
    ],
)
def test_a_manifest_of_another_shape_is_refused(folder: Path, change: Callable[[Document], object], field: str) -> None:
    """The message names the field."""
    edit_manifest(folder, change)
    with pytest.raises(ManifestError, match=rf"manifest\.json: not a manifest: .*{field}"):
        read_manifest(folder)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x00" * 100, id="zeros, as after a crash"),
        pytest.param(b"[]", id="an array"),
        pytest.param(b'{"format": 1', id="truncated"),
        pytest.param(b'{"version": "\xff\xfe"}', id="not UTF-8"),
    ],
)
def test_what_is_no_manifest_is_refused(folder: Path, content: bytes) -> None:
    """Never with another error."""
    (folder / MANIFEST_FILE).write_bytes(content)
    with pytest.raises(ManifestError, match=r"manifest\.json: not a manifest: "):
        read_manifest(folder)


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    """With its path."""
    with pytest.raises(ManifestError, match=r"manifest\.json: No such file or directory$"):
        read_manifest(tmp_path)


def test_a_manifest_cannot_be_changed() -> None:
    """What was verified holds to the end."""
    with pytest.raises(AttributeError, match="immutable"):
        a_manifest("v1").version = "v2"  # type: ignore[misc]
    assert msgspec.json.decode(encode(a_manifest("v1")), type=Manifest) == a_manifest("v1")
