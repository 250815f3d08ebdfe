"""What a model needs elsewhere: the source of what no index has, and everything that source imports."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import BundleError
from app.model.portable_code import needs_of

PACKAGE = {
    "model_of_mine/__init__.py": "from __future__ import annotations\nfrom typing import TYPE_CHECKING\n"
    "if TYPE_CHECKING:\n    import model_of_mine.types_only\n",
    "model_of_mine/steps/__init__.py": "",
    "model_of_mine/steps/scaling.py": "from ..numbers import floor\nfrom . import shared\nimport msgspec, os.path\n"
    "class Step:\n    from model_of_mine import of_a_class\n"
    "    def later(self):\n        import model_of_mine.unneeded\n"
    "try:\n    import model_of_mine.tried\nexcept ImportError:\n    pass\n",
    "model_of_mine/steps/shared.py": "import numpy.linalg\nfrom sklearn.base import BaseEstimator\n",
    "model_of_mine/numbers.py": "floor = 1\n",
    "model_of_mine/of_a_class.py": "",
    "model_of_mine/tried.py": "",
    "model_of_mine/unneeded.py": "",
    "model_of_mine/types_only.py": "",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of somebody's own on the path."""
    for name, source in PACKAGE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("model_of_mine")]:
        del sys.modules[name]


def test_the_source_of_a_step_comes_with_all_that_it_imports(package: Path) -> None:
    """Parents and siblings in every spelling; not what is imported later, or for type checkers only."""
    from model_of_mine.steps.scaling import Step  # type: ignore[import-not-found]

    needs = needs_of(pickle.dumps(Step()))
    left_at_home = {"model_of_mine/unneeded.py", "model_of_mine/types_only.py"}
    assert needs.sources == {name: text.encode() for name, text in PACKAGE.items() if name not in left_at_home}
    assert needs.distributions == {"msgspec", "numpy", "scikit-learn"}


def test_what_an_index_has_is_no_source() -> None:
    """It is named as pip knows it."""
    from sklearn.linear_model import LogisticRegression

    needs = needs_of(pickle.dumps(LogisticRegression().fit([[0.0], [1.0]], [0, 1])))
    assert needs.sources == {}
    assert needs.distributions == {"numpy", "scikit-learn"}


def test_a_module_without_source_is_refused(package: Path) -> None:
    """It could not be taken along."""
    from model_of_mine.steps.scaling import Step

    (package / "model_of_mine" / "steps" / "shared.py").write_text("import without_any_source\n")
    (package / "without_any_source").mkdir()  # a package without a file
    with pytest.raises(BundleError, match="needs the module 'without_any_source', which has no source to take along"):
        needs_of(pickle.dumps(Step()))
