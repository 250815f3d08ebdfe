"""What is no Python must reach the wheel too, and every folder of tests somebody who runs it."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_file_of_the_package_is_in_the_wheel() -> None:
    """A template that is left out would break `/` for everyone but us."""
    declared = PYPROJECT["tool"]["setuptools"]["package-data"]
    packaged = {
        path
        for package, patterns in declared.items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")).glob(pattern)
    }
    others = {
        path
        for path in (ROOT / "app").rglob("*")
        if path.is_file() and path.suffix != ".py" and path.parent.name != "__pycache__"
    }
    assert len(others) >= 7
    assert others == packaged


def test_what_the_quick_tests_leave_out_is_what_e2e_runs() -> None:
    """A folder that neither runs would rot unseen."""
    left_out = set(PYPROJECT["tool"]["pytest"]["ini_options"]["norecursedirs"]) - {".*"}
    recipe = (ROOT / "Makefile").read_text().partition("\ne2e:")[2].splitlines()[1]
    assert left_out == {word for word in recipe.split() if word.startswith("tests/")}
    assert all((ROOT / folder / "__init__.py").is_file() for folder in left_out)
