"""Figures that are measured and then kept in the documentation, with the machine they belong to."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version
from pathlib import Path

RELIABILITY = Path(__file__).parents[1] / "docs" / "reliability.md"


def setting() -> str:
    """The machine and the versions that the figures belong to."""
    cpus = [line.split(":")[1].strip() for line in _cpu_lines()]
    packages = ", ".join(f"{name} {version(name)}" for name in ("gunicorn", "uvloop", "flask", "scikit-learn"))
    return f"{len(cpus)} x {cpus[0]}, Linux {platform.release()}, Python {sys.version.split()[0]}, {packages}."


def put_between(begin: str, end: str, text: str, document: Path) -> None:
    """Replaces what stands between the two markers of a document. Raises `ValueError` where it lacks them."""
    head, _, rest = document.read_text().partition(begin)
    _, ended, tail = rest.partition(end)
    if not ended:
        raise ValueError(f"{document}: {begin} and {end} are not both there")
    document.write_text(f"{head}{begin}\n\n{text}\n\n{end}{tail}")


def _cpu_lines() -> list[str]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return [line for line in lines if line.startswith("model name")] or [f"model name: {platform.machine()}"]
