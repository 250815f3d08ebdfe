"""What every test may use: the contract, a reading, small models, and a registry with a version in it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from app.contract.schema import FeatureSchema
from app.model.bundle import BundleDraft
from app.model.manifest import Training
from app.model.registry import Registry
from app.settings import Settings


@pytest.fixture(scope="session")
def schema() -> FeatureSchema:
    return FeatureSchema()


@pytest.fixture
def reading(schema: FeatureSchema) -> dict[str, Any]:
    """A reading that fulfils the contract."""
    return dict(schema.example())


def fitted_logistic(schema: FeatureSchema, seed: int = 0) -> Any:
    """A small classifier over the contract's features."""
    X = schema.sample(200, seed)
    y = (X[:, 0] > X[:, 6]).astype(int)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)


def draft_of(schema: FeatureSchema, **estimators: Any) -> BundleDraft:
    """A draft whose stages are the given estimators."""
    rows = schema.sample(60, seed=1)
    return BundleDraft(
        estimators=estimators,
        thresholds=dict.fromkeys(estimators, 0.5),
        golden_rows=rows[:20],
        reference_rows=rows,
        training=Training(command="a test", data="random rows", data_digest="0" * 64, rows=len(rows)),
    )


@pytest.fixture(scope="session")
def logistic(schema: FeatureSchema) -> Any:
    return fitted_logistic(schema)


@pytest.fixture
def registry(tmp_path: Path, schema: FeatureSchema) -> Registry:
    """An empty registry."""
    return Registry(tmp_path / "models", schema)


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory, schema: FeatureSchema, logistic: Any) -> Registry:
    """A registry with an active version. Shared: a test gets a copy."""
    registry = Registry(tmp_path_factory.mktemp("registered") / "models", schema)
    estimators = {"primary": logistic, "fallback": fitted_logistic(schema, seed=3)}
    registry.activate(registry.register(draft_of(schema, **estimators)))
    return registry


@pytest.fixture
def version(registry: Registry, registered: Registry) -> str:
    """A version with a primary and a fallback, registered and active in `registry`."""
    shutil.copytree(registered.folder, registry.folder, dirs_exist_ok=True)
    return str(registered.active())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that touch nothing but the test's own folder."""
    return Settings(
        models_dir=tmp_path / "models",
        audit_dir=tmp_path / "audit",
        runtime_dir=tmp_path / "runtime",
        web_concurrency=1,
        self_test_interval_s=60,
        reload_interval_s=60,
    )
