"""Requirements: what decides how a model loads must be what is installed here."""

from __future__ import annotations

from importlib import metadata

import pytest

from app.model.requirements import conda_requirements, requirement_differences

NUMPY, SKLEARN, JOBLIB = (metadata.version(name) for name in ("numpy", "scikit-learn", "joblib"))


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(f"numpy=={NUMPY}", id="pinned"),
        pytest.param(f"  Scikit_Learn == {SKLEARN}  # trained with", id="another spelling, with a comment"),
        pytest.param(f"joblib=={JOBLIB} --hash=sha256:00", id="with a hash"),
        pytest.param("numpy", id="any"),
        pytest.param("numpy>=1,<99", id="a range"),
        pytest.param('numpy==1.0; python_version < "3"', id="for another Python"),
        pytest.param("pandas==0.1", id="of no weight"),
        pytest.param("numpy-financial==1.0", id="only alike"),
        pytest.param("-r other.txt", id="an option"),
        pytest.param("", id="empty"),
        pytest.param("git+https://example.org/x.git", id="an address"),
    ],
)
def test_what_is_fulfilled_is_no_difference(line: str) -> None:
    """Nor what does not decide."""
    assert requirement_differences([line]) == []


@pytest.mark.parametrize(
    ("line", "difference"),
    [
        pytest.param("numpy==1.26.4", f"numpy 1.26.4 there, {NUMPY} here", id="pinned"),
        pytest.param("scikit-learn<1.9", f"scikit-learn <1.9 there, {SKLEARN} here", id="a range"),
        pytest.param("joblib==torn", f"joblib torn there, {JOBLIB} here", id="no version"),
        pytest.param(
            "numpy @ file:///x.whl", f"numpy @ file:///x.whl there, {NUMPY} here", id="a file of nobody knows what"
        ),
    ],
)
def test_what_differs_is_named_once(line: str, difference: str) -> None:
    """With both versions."""
    assert requirement_differences([line, line, "scipy==0"]) == [difference]


def test_conda_s_own_form_is_read_too() -> None:
    """Channel and build are of no interest."""
    listed = ["conda-forge::numpy=1.26.4=py311_0", "joblib>=1", {"pip": ["scikit-learn==1.9.1", 5]}, 7, {"x": None}]
    assert conda_requirements(listed) == ["numpy==1.26.4", "joblib>=1", "scikit-learn==1.9.1"]
