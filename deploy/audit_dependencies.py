"""`make audit`: known vulnerabilities of everything that is pinned; a package that could not be checked is a failure.

    python deploy/audit_dependencies.py requirements.txt [...]

pip-audit asks PyPI's advisory database. Where that cannot be reached, or does not know a package, it may still print
that nothing is known; so its report is held against the pins, one by one. Exit status 0 only if every one was checked
and none is vulnerable.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PIN = re.compile(r"(?m)^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Audits each file and prints what is wrong."""
    files = [Path(name) for name in (sys.argv[1:] if arguments is None else arguments)]
    problems = [problem for file in files for problem in _audit(file)]
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        print(f"every pin of {', '.join(map(str, files))} was checked: no known vulnerability")
    return 1 if problems or not files else 0


def _audit(file: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--format", "json", "-r", str(file)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        report = json.loads(done.stdout)
    except ValueError:
        return [f"{file}: pip-audit gave no report: {done.stderr.strip()[-500:]}"]
    return [f"{file}: {problem}" for problem in problems_in(report, pins(file.read_text()))]


def pins(text: str) -> dict[str, str]:
    """The versions that a requirements file pins, by normalised name."""
    return {_normalised(name): version for name, version in _PIN.findall(text)}


def problems_in(report: Any, pinned: dict[str, str]) -> list[str]:
    """What speaks against the pins: a vulnerability, or that one was not checked."""
    checked: dict[str, Any] = {_normalised(entry["name"]): entry for entry in report.get("dependencies", [])}
    problems = []
    for name, version in pinned.items():
        entry = checked.get(name)
        if entry is None or "skip_reason" in entry or entry.get("version") != version:
            reason = (entry or {}).get("skip_reason", "it is not in pip-audit's report")
            problems.append(f"{name} {version} was not checked: {reason}")
            continue
        for found in entry["vulns"]:
            mended = ", ".join(found["fix_versions"]) or "no version yet"
            problems.append(f"{name} {version}: {found['id']}, mended in {mended}")
    return problems


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
