"""`manifest.json`: everything a service must know about a model version before it trusts one byte of it."""

from __future__ import annotations

import hashlib
import hmac
import platform
from importlib import metadata
from pathlib import Path

import msgspec

from app.errors import ManifestError, SignatureError
from app.model.stages import MODEL_STAGES

FORMAT = 1
MANIFEST_FILE = "manifest.json"
SIGNATURE_FILE = "manifest.sig"

_RECORDED = ("numpy", "scikit-learn", "joblib", "pandas")
DECISIVE = ("numpy", "scikit-learn", "joblib")


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the bytes of one file must be."""

    sha256: str


class StageEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One estimator: its file, its decision threshold, and its scores of the golden rows."""

    file: str
    threshold: float
    golden_scores: list[float]


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the version came to be."""

    command: str
    data: str
    data_digest: str
    rows: int


class Bins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A feature's distribution in training: `ratios[i]` of the rows lie between `edges[i]` and `edges[i + 1]`."""

    edges: list[float]
    ratios: list[float]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model version's manifest."""

    format: int
    version: str
    created: str
    features: list[str]
    environment: dict[str, str]
    files: dict[str, FileEntry]
    stages: dict[str, StageEntry]
    golden_rows: list[list[float]]
    reference: dict[str, Bins]
    training: Training
    metrics: dict[str, dict[str, float]] = {}
    agreement: dict[str, float] = {}


def current_environment() -> dict[str, str]:
    """Python's version and those of the libraries that decide how a model loads."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in _RECORDED}}


def environment_differences(recorded: dict[str, str]) -> tuple[list[str], list[str]]:
    """(refusals, warnings) between a manifest's environment and this one, a sentence each.

    Another scikit-learn, numpy or joblib may load the same bytes into another model. Another Python minor
    version only warns, since the golden rows decide; a patch release is not worth a word.
    """
    here = current_environment()
    refusals = [
        f"{name} {recorded.get(name, 'unrecorded')} there, {here[name]} here"
        for name in DECISIVE
        if recorded.get(name) != here[name]
    ]
    there = recorded.get("python", "unrecorded")
    same_minor = there.split(".")[:2] == here["python"].split(".")[:2]
    return refusals, [] if same_minor else [f"python {there} there, {here['python']} here"]


def encode(manifest: Manifest) -> bytes:
    """The document as it is written to disk."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def read_manifest(folder: Path, signing_key: bytes | None = None) -> Manifest:
    """The manifest of the version in `folder`, its signature verified first where there is a key.

    Raises `ManifestError` or `SignatureError`.
    """
    path = folder / MANIFEST_FILE
    try:
        document = path.read_bytes()
    except OSError as error:
        raise ManifestError(path, error.strerror or "cannot be read") from None
    if signing_key is not None:
        _verify_signature(folder / SIGNATURE_FILE, document, signing_key)
    try:
        manifest = msgspec.json.decode(document, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ManifestError(path, f"not a manifest: {error}") from None
    _check_consistency(path, manifest)
    return manifest


def signature(document: bytes, key: bytes) -> str:
    """HMAC-SHA-256 of a manifest's bytes, in hexadecimal."""
    return hmac.new(key, document, hashlib.sha256).hexdigest()


def _verify_signature(path: Path, document: bytes, key: bytes) -> None:
    try:
        found = path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise SignatureError(path, "MODEL_SIGNING_KEY is set, but the signature is missing or unreadable") from None
    if not hmac.compare_digest(found.encode(), signature(document, key).encode()):
        raise SignatureError(path, "the signature does not match the manifest and MODEL_SIGNING_KEY")


def _check_consistency(path: Path, manifest: Manifest) -> None:
    if manifest.format != FORMAT:
        raise ManifestError(path, f"format {manifest.format}, this service reads format {FORMAT}")
    if manifest.version != path.parent.name:
        raise ManifestError(path, f"describes version {manifest.version!r}, but lies in {path.parent.name!r}")
    if not manifest.golden_rows or any(len(row) != len(manifest.features) for row in manifest.golden_rows):
        raise ManifestError(path, "golden_rows must be rows of all features, at least one")
    for name, stage in manifest.stages.items():
        if name not in MODEL_STAGES:
            raise ManifestError(path, f"unknown stage {name!r}")
        if len(stage.golden_scores) != len(manifest.golden_rows):
            raise ManifestError(path, f"{name}: {len(stage.golden_scores)} golden scores for "
                                      f"{len(manifest.golden_rows)} golden rows")  # fmt: skip
    for name in (*manifest.files, *(stage.file for stage in manifest.stages.values())):
        if Path(name).name != name or name.startswith("."):
            raise ManifestError(path, f"{name!r} is not a plain file name")
