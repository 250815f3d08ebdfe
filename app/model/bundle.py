"""One model version on disk: read each file once, hash those bytes, compare, only then unpickle them."""

from __future__ import annotations

import hashlib
import io
import itertools
import math
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from app.contract.schema import FeatureSchema, Matrix
from app.errors import (
    BundleError,
    ContractMismatchError,
    EnvironmentMismatchError,
    GoldenRowsError,
    IntegrityError,
    ManifestError,
    UnlistedFileError,
    UnpickleError,
)
from app.model import manifest as manifests
from app.model.folders import publish
from app.model.manifest import Bins, FileEntry, Manifest, StageEntry, Training
from app.model.scorer import TOLERANCE, Scores, estimator_scores

GOLDEN_ROWS = 50
"""Rows whose scores a version promises; enough to notice a wrong model, few enough to score at every self-test."""

_BINS = 10


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified version in memory. A stage that was refused is in `refusals` instead of `estimators`."""

    manifest: Manifest
    estimators: Mapping[str, Any]
    refusals: Mapping[str, BundleError]
    warnings: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        return self.manifest.version

    @property
    def golden_rows(self) -> Matrix:
        """Shape (n, number of features), columns in contract order."""
        return np.array(self.manifest.golden_rows, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class BundleDraft:
    """What a new version is made of; `extras` are further files by name, such as its model card."""

    estimators: Mapping[str, Any]
    thresholds: Mapping[str, float]
    golden_rows: Matrix
    reference_rows: Matrix
    training: Training
    metrics: Mapping[str, dict[str, float]] = field(default_factory=dict)
    agreement: Mapping[str, float] = field(default_factory=dict)
    extras: Mapping[str, bytes] = field(default_factory=dict)


def load_bundle(folder: Path, schema: FeatureSchema, signing_key: bytes | None = None) -> Bundle:
    """The version in `folder`, each stage verified on its own.

    Raises `BundleError` where no stage may be used: manifest, signature, contract or environment.
    """
    manifest = manifests.read_manifest(folder, signing_key)
    if tuple(manifest.features) != schema.names:
        raise ContractMismatchError(
            f"{folder}: trained for the features {manifest.features}, this service serves {list(schema.names)}"
        )
    refusals: dict[str, BundleError] = {}
    verified: dict[str, bytes] = {}
    for name, stage in manifest.stages.items():
        try:
            verified[name] = _verified_bytes(folder, stage.file, manifest.files)
        except BundleError as error:
            refusals[name] = error
    differences, warnings = manifests.environment_differences(manifest.environment)
    if differences:
        raise EnvironmentMismatchError(differences)
    warnings += [str(UnlistedFileError(path)) for path in unlisted_files(folder, manifest)]
    estimators: dict[str, Any] = {}
    for name, content in verified.items():
        try:
            estimators[name] = _unpickle(folder / manifest.stages[name].file, content)
        except UnpickleError as error:
            refusals[name] = error
    return Bundle(manifest, estimators, refusals, tuple(warnings))


def check_golden(bundle: Bundle, stage: str, scores: Scores) -> None:
    """Whether `scores` of the golden rows are those the manifest promises. Raises `GoldenRowsError`."""
    promised = np.array(bundle.manifest.stages[stage].golden_scores)
    if scores.shape != promised.shape or not np.isfinite(scores).all():
        raise GoldenRowsError(stage, "its scores of the golden rows are not finite numbers, one a row")
    difference = float(np.max(np.abs(scores - promised)))
    if difference > TOLERANCE:
        raise GoldenRowsError(stage, f"scores of the golden rows differ by {difference:.3g} from the manifest's")


def unlisted_files(folder: Path, manifest: Manifest) -> list[Path]:
    """Files in a version's folder that its manifest does not vouch for; they are never opened."""
    known = {*manifest.files, manifests.MANIFEST_FILE, manifests.SIGNATURE_FILE}
    return sorted(path for path in folder.iterdir() if path.name not in known and not path.name.startswith("."))


def verify_files(folder: Path, signing_key: bytes | None = None) -> Manifest:
    """Checks every file of a version against its manifest without unpickling any.

    Raises `BundleError` at the first that is missing, changed or unlisted.
    """
    manifest = manifests.read_manifest(folder, signing_key)
    for name in manifest.files:
        _verified_bytes(folder, name, manifest.files)
    for path in unlisted_files(folder, manifest):
        raise UnlistedFileError(path)
    return manifest


def write_bundle(parent: Path, draft: BundleDraft, schema: FeatureSchema, signing_key: bytes | None = None) -> Path:
    """Writes a draft as a new version below `parent` and returns its folder.

    The folder appears under its final name in one step, complete and synced.
    """
    contents: dict[str, bytes] = dict(draft.extras)
    stages: dict[str, StageEntry] = {}
    for name, estimator in draft.estimators.items():
        buffer = io.BytesIO()
        try:
            joblib.dump(estimator, buffer)
        except (pickle.PicklingError, AttributeError, TypeError) as error:  # a lambda, a class of a notebook's own
            raise BundleError(f"{name}: cannot be saved, so no worker could load it: {error}") from error
        contents[f"{name}.joblib"] = buffer.getvalue()
        golden_scores = estimator_scores(estimator, draft.golden_rows)
        if not np.isfinite(golden_scores).all() or not math.isfinite(draft.thresholds[name]):
            raise GoldenRowsError(name, "its scores of the golden rows and its threshold must be finite numbers")
        stages[name] = StageEntry(f"{name}.joblib", draft.thresholds[name], golden_scores.tolist())
    created = datetime.now(UTC)
    digest = hashlib.sha256(b"".join(contents[stage.file] for stage in stages.values())).hexdigest()
    version = _free_name(parent, f"{created:%Y%m%dT%H%M%SZ}-{digest[:6]}")
    manifest = Manifest(
        format=manifests.FORMAT,
        version=version,
        created=created.isoformat(timespec="seconds").replace("+00:00", "Z"),
        features=list(schema.names),
        environment=manifests.current_environment(),
        files={name: FileEntry(hashlib.sha256(data).hexdigest()) for name, data in contents.items()},
        stages=stages,
        golden_rows=draft.golden_rows.tolist(),
        reference=reference_distribution(draft.reference_rows, schema),
        training=draft.training,
        metrics={stage: _finite(figures) for stage, figures in draft.metrics.items()},
        agreement=_finite(draft.agreement),
    )
    document = manifests.encode(manifest)
    contents[manifests.MANIFEST_FILE] = document
    if signing_key is not None:
        contents[manifests.SIGNATURE_FILE] = manifests.signature(document, signing_key).encode() + b"\n"
    publish(parent / version, contents)
    return parent / version


def reference_distribution(rows: Matrix, schema: FeatureSchema) -> dict[str, Bins]:
    """Per feature the share of rows in each tenth of its training values, edges widened to the feature's range."""
    reference: dict[str, Bins] = {}
    for index, feature in enumerate(schema.features):
        inner = np.unique(np.quantile(rows[:, index], np.linspace(0, 1, _BINS + 1)[1:-1]))
        inner = inner[(inner > feature.low) & (inner < feature.high)]
        bins = np.searchsorted(inner, rows[:, index], side="right")
        ratios = np.bincount(bins, minlength=len(inner) + 1) / len(rows)
        reference[feature.name] = Bins([feature.low, *inner.tolist(), feature.high], ratios.tolist())
    return reference


def _finite(figures: Mapping[str, float]) -> dict[str, float]:
    """JSON has no NaN: a figure that could not be computed is left out."""
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def _verified_bytes(folder: Path, name: str, listed: Mapping[str, FileEntry]) -> bytes:
    path = folder / name
    if name not in listed:
        raise UnlistedFileError(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ManifestError(path, f"listed in the manifest, but {error.strerror or 'unreadable'}") from None
    actual = hashlib.sha256(content).hexdigest()
    if actual != listed[name].sha256:
        raise IntegrityError(path, listed[name].sha256, actual)
    return content


def _unpickle(path: Path, content: bytes) -> Any:
    try:
        return joblib.load(io.BytesIO(content))
    except Exception as error:
        raise UnpickleError(f"{path}: cannot be unpickled: {type(error).__name__}: {error}") from error


def _free_name(parent: Path, name: str) -> str:
    """`name`, or with a number behind it where the same model was registered within the same second."""
    numbered = (f"{name}-{count}" for count in itertools.count(2))
    return next(free for free in itertools.chain([name], numbered) if not (parent / free).exists())
