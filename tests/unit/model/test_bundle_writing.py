"""A new version appears complete or not at all, and what it promises can be kept."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.contract.schema import FeatureSchema
from app.errors import BundleError, RegistryError, ServiceError
from app.model.bundle import BundleDraft, load_bundle, reference_distribution, write_bundle
from app.model.manifest import MANIFEST_FILE, SIGNATURE_FILE, read_manifest, signature
from app.model.registry import Registry
from app.model.scorer import estimator_scores
from tests.conftest import draft_of, fitted_logistic
from tests.unit.model.crafting import Scoring, files_limited_to

SCHEMA = FeatureSchema()


@pytest.fixture
def draft(schema: FeatureSchema, logistic: Any) -> BundleDraft:
    fallback = fitted_logistic(schema, seed=3)
    return replace(
        draft_of(schema, primary=logistic, fallback=fallback),
        thresholds={"primary": 0.25, "fallback": 0.75},
        metrics={"primary": {"f1": 0.5}},
        agreement={"fallback": 0.875},
        extras={"MODEL_CARD.md": b"# A card\n"},
    )


def test_the_manifest_lists_every_file_with_its_digest(tmp_path: Path, draft: BundleDraft) -> None:
    """Nothing else lies in the folder."""
    folder = write_bundle(tmp_path / "new" / "models", draft, SCHEMA)
    manifest = read_manifest(folder)
    assert set(manifest.files) == {"primary.joblib", "fallback.joblib", "MODEL_CARD.md"}
    assert {path.name for path in folder.iterdir()} == {*manifest.files, MANIFEST_FILE}
    for name, entry in manifest.files.items():
        content = (folder / name).read_bytes()
        assert entry.sha256 == hashlib.sha256(content).hexdigest()


def test_the_manifest_says_what_the_draft_said(tmp_path: Path, draft: BundleDraft) -> None:
    """And each stage's scores of the golden rows, bit for bit."""
    folder = write_bundle(tmp_path, draft, SCHEMA)
    manifest = read_manifest(folder)
    assert manifest.version == folder.name
    assert manifest.features == list(SCHEMA.names)
    assert (manifest.training, manifest.metrics, manifest.agreement) == (draft.training, draft.metrics, draft.agreement)
    assert {name: stage.threshold for name, stage in manifest.stages.items()} == draft.thresholds
    for name, estimator in draft.estimators.items():
        assert manifest.stages[name].golden_scores == estimator_scores(estimator, draft.golden_rows).tolist()
    assert set(manifest.reference) == set(SCHEMA.names)
    assert load_bundle(folder, SCHEMA).refusals == {}


def test_the_version_is_its_time_and_its_content(tmp_path: Path, draft: BundleDraft) -> None:
    """UTC, so that names sort by age; `created` is the same moment in RFC 3339."""
    folder = write_bundle(tmp_path, draft, SCHEMA)
    moment, content = folder.name.split("-")
    created = read_manifest(folder).created
    assert created.endswith("Z")
    assert created.replace("-", "").replace(":", "") == moment
    stages = [(folder / f"{name}.joblib").read_bytes() for name in ("primary", "fallback")]
    assert hashlib.sha256(b"".join(stages)).hexdigest().startswith(content)
    assert len(content) == 6


def test_a_key_signs_the_manifest(tmp_path: Path, draft: BundleDraft) -> None:
    """And the version loads with that key."""
    folder = write_bundle(tmp_path, draft, SCHEMA, b"key")
    expected = signature((folder / MANIFEST_FILE).read_bytes(), b"key")
    assert (folder / SIGNATURE_FILE).read_text().strip() == expected
    assert load_bundle(folder, SCHEMA, b"key").warnings == ()


@pytest.mark.parametrize("size", [pytest.param(0, id="at once"), pytest.param(600, id="in the middle of a file")])
def test_a_failing_write_leaves_nothing_behind(registry: Registry, draft: BundleDraft, size: int) -> None:
    """No half version, no draft; the registry says what went wrong, and the next attempt works."""
    registry.folder.mkdir()
    with files_limited_to(size), pytest.raises(RegistryError, match=r"models cannot be changed: File too large$"):
        registry.register(draft)
    assert [path.name for path in registry.folder.iterdir()] == [".lock"]
    assert registry.versions() == []
    assert registry.history() == []
    registry.verify(registry.register(draft))


class Unpicklable(Scoring):
    """An estimator that cannot be written."""

    def __reduce__(self) -> Any:
        raise TypeError("cannot pickle a lock")


@pytest.mark.parametrize("score", [pytest.param(np.nan, id="nan"), pytest.param(np.inf, id="infinite")])
def test_a_model_whose_scores_are_no_numbers_cannot_become_a_version(registry: Registry, score: float) -> None:
    """JSON has no word for them: the manifest could be written and never be read again."""
    with pytest.raises(ServiceError):
        registry.register(draft_of(SCHEMA, primary=Scoring(score)))
    assert registry.versions() == []


@pytest.mark.parametrize("number", [pytest.param(np.nan, id="nan"), pytest.param(np.inf, id="infinite")])
def test_a_threshold_that_is_no_number_cannot_become_a_version(registry: Registry, number: float) -> None:
    """A version that was registered can be read."""
    draft = replace(draft_of(SCHEMA, primary=Scoring(0.5)), thresholds={"primary": number})
    with pytest.raises(ServiceError):
        registry.register(draft)
    assert registry.versions() == []


def test_a_metric_that_is_no_number_does_not_spoil_a_version(registry: Registry) -> None:
    """An undefined figure, such as precision without a positive, is refused or left out, never left unreadable."""
    draft = replace(draft_of(SCHEMA, primary=Scoring(0.5)), metrics={"primary": {"precision": float("nan")}})
    try:
        version = registry.register(draft)
    except ServiceError:
        assert registry.versions() == []
    else:
        assert registry.manifest(version).version == version


def test_a_model_that_cannot_be_pickled_leaves_nothing_behind(registry: Registry) -> None:
    """The stage is named with the cause, and no folder remains."""
    with pytest.raises(BundleError, match=r"primary: cannot be saved, .*: cannot pickle a lock"):
        registry.register(draft_of(SCHEMA, primary=Unpicklable(0.5)))
    assert [path.name for path in registry.folder.iterdir()] == [".lock"]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 80), st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 3, 1_000]))
def test_the_reference_is_a_distribution_of_every_feature(count: int, seed: int, decimals: int) -> None:
    """Edges from low to high, rising; shares that add up to one; also for few, equal or coarse values."""
    rows = SCHEMA.sample(count, seed)
    if decimals < 1_000:
        rows = np.clip(np.round(rows, decimals), SCHEMA.lows, SCHEMA.highs)
    reference = reference_distribution(rows, SCHEMA)
    for index, feature in enumerate(SCHEMA.features):
        bins = reference[feature.name]
        assert (bins.edges[0], bins.edges[-1]) == (feature.low, feature.high)
        assert all(left < right for left, right in zip(bins.edges, bins.edges[1:], strict=False))
        assert len(bins.ratios) == len(bins.edges) - 1 <= 10
        assert sum(bins.ratios) == pytest.approx(1)
        inside = np.searchsorted(bins.edges[1:-1], rows[:, index], side="right")
        assert bins.ratios == [float((inside == place).mean()) for place in range(len(bins.ratios))]


def test_evenly_spread_values_fill_ten_equal_bins() -> None:
    """A tenth of the rows each."""
    rows = np.linspace(SCHEMA.lows, SCHEMA.highs, 1_000)
    for bins in reference_distribution(rows, SCHEMA).values():
        assert bins.ratios == pytest.approx([0.1] * 10, abs=0.002)
