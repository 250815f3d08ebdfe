"""Requirement files: what is asked for, and what is pinned."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@dataclass(frozen=True, slots=True)
class Pin:
    """One entry of a lock."""

    version: str
    hashes: int
    asked_by: frozenset[str]
    """Packages by name; requirement files as `-r FILE`."""


def wanted(path: Path) -> dict[str, Requirement]:
    """What a .in file and those it includes ask for, by name."""
    found: dict[str, Requirement] = {}
    for raw in path.read_text().splitlines():
        line = raw.partition("#")[0].strip()
        if line.startswith("-r "):
            found |= wanted(path.parent / line[3:].strip())
        elif line and not line.startswith("-"):
            requirement = Requirement(line)
            found[canonicalize_name(requirement.name)] = requirement
    return found


def pinned(path: Path) -> dict[str, Pin]:
    """The entries of a lock, by name. Raises `ValueError` over any that is not pinned."""
    found: dict[str, Pin] = {}
    for entry in re.split(r"(?m)^(?=[A-Za-z0-9])", path.read_text()):
        if entry.strip():
            head = re.match(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", entry)
            if head is None:
                raise ValueError(f"{path.name}: not pinned: {entry.splitlines()[0]}")
            reasons = re.findall(r"(?m)^    #(?: via|  ) +(\S.*)$", entry)
            found[canonicalize_name(head[1])] = Pin(head[2], entry.count("--hash=sha256:"), frozenset(reasons))
    return found
