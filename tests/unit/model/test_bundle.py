"""A version in memory: what loads, what warns, and whether it still scores as its manifest promises."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from app.contract.schema import FeatureSchema, Matrix
from app.errors import GoldenRowsError, UnpickleError
from app.model.bundle import Bundle, check_golden, load_bundle
from app.model.manifest import current_environment
from app.model.registry import Registry
from app.model.scorer import TOLERANCE, Scores, estimator_scores
from tests.unit.model.crafting import edit_manifest, replace_file


@pytest.fixture
def folder(registry: Registry, version: str) -> Path:
    return registry.folder / version


@pytest.fixture
def bundle(folder: Path, schema: FeatureSchema) -> Bundle:
    return load_bundle(folder, schema)


def test_a_version_loads_with_all_its_stages(bundle: Bundle, version: str, logistic: Any) -> None:
    """Without refusal or warning, and the estimators are the ones that were registered."""
    assert bundle.version == version
    assert set(bundle.estimators) == {"primary", "fallback"}
    assert dict(bundle.refusals) == {}
    assert bundle.warnings == ()
    rows = bundle.golden_rows
    np.testing.assert_array_equal(
        estimator_scores(bundle.estimators["primary"], rows), estimator_scores(logistic, rows)
    )


def test_golden_rows_come_back_bit_for_bit(bundle: Bundle, schema: FeatureSchema) -> None:
    """float64, one column a feature."""
    expected = schema.sample(60, seed=1)[:20]
    assert bundle.golden_rows.dtype == np.float64
    np.testing.assert_array_equal(bundle.golden_rows, expected)


def test_another_minor_version_of_python_only_warns(folder: Path, schema: FeatureSchema) -> None:
    """The golden rows decide."""
    edit_manifest(folder, lambda document: document["environment"].update(python="3.9.1"))
    bundle = load_bundle(folder, schema)
    assert bundle.warnings == (f"python 3.9.1 there, {current_environment()['python']} here",)
    assert set(bundle.estimators) == {"primary", "fallback"}


class Unloadable:
    """Pickles well and cannot be unpickled."""

    def __reduce__(self) -> tuple[type[int], tuple[str]]:
        return int, ("no number",)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        pytest.param(b"no pickle at all", "", id="no pickle"),
        pytest.param(b"", "EOFError", id="nothing"),
        pytest.param(pickle.dumps(list(range(100)))[:-20], "", id="half a pickle"),
        pytest.param(pickle.dumps(Unloadable()), "ValueError: invalid literal", id="a class that raises"),
        pytest.param(b"cno_such_module\nThing\n.", "ModuleNotFoundError: No module named", id="a module not installed"),
    ],
)
def test_verified_bytes_that_cannot_be_unpickled_are_refused(
    folder: Path, schema: FeatureSchema, content: bytes, cause: str
) -> None:
    """With the path and the cause; the other stage is untouched."""
    replace_file(folder, "primary.joblib", content)
    bundle = load_bundle(folder, schema)
    refusal = bundle.refusals["primary"]
    assert isinstance(refusal, UnpickleError)
    assert str(refusal).startswith(f"{folder / 'primary.joblib'}: cannot be unpickled: {cause}")
    assert list(bundle.estimators) == ["fallback"]


def test_a_version_without_a_fallback_is_whole(registry: Registry, schema: FeatureSchema, folder: Path) -> None:
    """The manifest says which stages there are."""
    edit_manifest(
        folder, lambda document: (document["stages"].pop("fallback"), document["files"].pop("fallback.joblib"))
    )
    (folder / "fallback.joblib").unlink()
    bundle = load_bundle(folder, schema)
    assert list(bundle.estimators) == ["primary"]
    assert (dict(bundle.refusals), bundle.warnings) == ({}, ())


def promised(bundle: Bundle) -> Scores:
    return np.array(bundle.manifest.stages["primary"].golden_scores)


def test_the_promised_scores_pass_the_golden_check(bundle: Bundle) -> None:
    """The estimator's own, and any within the tolerance."""
    check_golden(bundle, "primary", estimator_scores(bundle.estimators["primary"], bundle.golden_rows))
    check_golden(bundle, "primary", promised(bundle) + 0.9 * TOLERANCE)


def _one_off(scores: Scores) -> Scores:
    wrong = scores.copy()
    wrong[7] += 1e-6
    return wrong


def _with(number: float) -> Any:
    def change(scores: Scores) -> Scores:
        wrong = scores.copy()
        wrong[-1] = number
        return wrong

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(_one_off, "scores of the golden rows differ by 1e-06 from the manifest's", id="one row differs"),
        pytest.param(lambda s: s[:-1], "its scores of the golden rows are not finite numbers, one a row", id="short"),
        pytest.param(
            lambda s: s[:, None], "its scores of the golden rows are not finite numbers, one a row", id="a column"
        ),
        pytest.param(
            _with(np.nan), "its scores of the golden rows are not finite numbers, one a row", id="nan"
        ),
        pytest.param(
            _with(np.inf), "its scores of the golden rows are not finite numbers, one a row", id="infinite"
        ),
    ],
)  # fmt: skip
def test_other_scores_fail_the_golden_check(bundle: Bundle, change: Any, problem: str) -> None:
    """The stage is named."""
    with pytest.raises(GoldenRowsError) as caught:
        check_golden(bundle, "primary", change(promised(bundle)))
    assert str(caught.value) == f"primary: {problem}"


def test_the_fallback_is_held_to_its_own_promise(bundle: Bundle) -> None:
    """Not to the primary's."""
    with pytest.raises(GoldenRowsError, match=r"^fallback: scores of the golden rows differ by "):
        check_golden(bundle, "fallback", promised(bundle))


class Constant:
    """An estimator with an opinion of its own."""

    def predict_proba(self, rows: Matrix) -> Matrix:
        return np.full((len(rows), 2), 0.5)


def test_verifying_a_version_scores_its_golden_rows(registry: Registry, version: str, folder: Path) -> None:
    """A file the manifest vouches for, but not the one that made the golden scores."""
    joblib.dump(Constant(), folder / "other")
    content = (folder / "other").read_bytes()
    (folder / "other").unlink()
    replace_file(folder, "fallback.joblib", content)
    with pytest.raises(GoldenRowsError, match=r"^fallback: scores of the golden rows differ by "):
        registry.verify(version)


def test_verifying_a_version_raises_what_was_refused(registry: Registry, version: str, folder: Path) -> None:
    """A service would go without the stage; whoever verifies wants to know."""
    replace_file(folder, "fallback.joblib", b"no pickle")
    with pytest.raises(UnpickleError, match=r"fallback\.joblib: cannot be unpickled"):
        registry.verify(version)


def test_a_bundle_cannot_be_changed(bundle: Bundle) -> None:
    """It may be replaced, never edited."""
    with pytest.raises(AttributeError):
        bundle.warnings = ("x",)  # type: ignore[misc]
    assert replace(bundle, warnings=("x",)).warnings == ("x",)
