"""requirements*.txt are what requirements*.in ask for, pinned and hashed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.readiness.locks import pinned, wanted

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements", "requirements-dev")


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_pinned_to_a_version_that_satisfies_it(name: str) -> None:
    """Who adds a requirement or raises a floor runs `make lock`."""
    lock = pinned(ROOT / f"{name}.txt")
    versions = {name: pin.version for name, pin in lock.items()}
    asked = wanted(ROOT / f"{name}.in")
    assert sorted(asked.keys() - versions.keys()) == []
    assert [str(need) for key, need in asked.items() if not need.specifier.contains(versions[key])] == []


@pytest.mark.parametrize("name", LOCKS)
def test_nothing_is_pinned_that_nobody_asks_for(name: str) -> None:
    """Who drops a requirement runs `make lock` too: every pin names who asked for it, and they still do."""
    lock, asked = pinned(ROOT / f"{name}.txt"), wanted(ROOT / f"{name}.in")
    unasked = [
        package
        for package, pin in lock.items()
        if not any((reason.startswith("-r ") and package in asked) or reason in lock for reason in pin.asked_by)
    ]
    assert unasked == []


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_its_hashes(name: str) -> None:
    """Pip refuses a lock in which one is missing; better known here."""
    assert [package for package, pin in pinned(ROOT / f"{name}.txt").items() if not pin.hashes] == []


def test_tests_run_on_the_versions_that_are_served() -> None:
    """The development lock holds all of the service's, at the same versions."""
    service, development = pinned(ROOT / "requirements.txt"), pinned(ROOT / "requirements-dev.txt")
    differing = {name for name, pin in service.items() if name not in development}
    differing |= {name for name, pin in service.items() if development[name].version != pin.version}
    assert differing == set()


@pytest.mark.parametrize("name", LOCKS)
def test_resolving_again_changes_nothing(name: str, tmp_path: Path) -> None:
    """`make lock` on a lock that is current gives the same file, byte by byte. Asks the package index."""
    for file in ("pyproject.toml", *(f"{lock}.{kind}" for lock in LOCKS for kind in ("in", "txt"))):
        shutil.copy(ROOT / file, tmp_path)
    done = subprocess.run(
        [Path(sys.executable).with_name("uv"), "pip", "compile", "--quiet", f"{name}.in", "-o", f"{name}.txt"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode and "error sending request" in done.stderr:
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"{name}.txt").read_text() == (ROOT / f"{name}.txt").read_text()
