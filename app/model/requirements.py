"""What a model's list of requirements asks for, against what is installed here."""

from __future__ import annotations

import re
from collections.abc import Iterable

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from app.model.manifest import DECISIVE, current_environment


def requirement_differences(lines: Iterable[str]) -> list[str]:
    """How requirements, a line each, differ from this environment in what decides how a model loads.

    A line that names such a library in a way nobody here can judge is a difference too.
    """
    here = current_environment()
    found: dict[str, None] = {}  # a set that keeps the order
    for line in lines:
        text = re.split(r"\s+#|\s+--", line.strip())[0]
        name = canonicalize_name(re.split(r"[^A-Za-z0-9._-]", text)[0])
        if name in DECISIVE and not _fulfilled(text, here[name]):
            wanted = text[len(name) :].strip().removeprefix("==") or text
            found[f"{name} {wanted} there, {here[name]} here"] = None
    return list(found)


def conda_requirements(dependencies: Iterable[object]) -> list[str]:
    """The requirements in conda's own form, and those in pip's that stand among them."""
    lines: list[str] = []
    for entry in dependencies:
        if isinstance(entry, str):  # CHANNEL::NAME=VERSION=BUILD
            lines.append(re.sub(r"^([^=<>!~\s]+)=([^=]+)(=.*)?$", r"\1==\2", entry.rpartition("::")[2]))
        elif isinstance(entry, dict):
            lines += [line for line in entry.get("pip") or () if isinstance(line, str)]
    return lines


def _fulfilled(text: str, version: str) -> bool:
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return False
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    return not requirement.url and requirement.specifier.contains(version, prereleases=True)
