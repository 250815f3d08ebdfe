"""Repositories that tests make."""

from __future__ import annotations

import subprocess
from pathlib import Path

_WHO = ("-c", "user.name=a test", "-c", "user.email=test@localhost")


def commit_all(folder: Path) -> None:
    """All that is in a folder becomes a commit, the first one where there is no repository yet."""
    commit = (*_WHO, "commit", "--quiet", "--allow-empty", "--message", "All of it")
    for command in (("init", "--quiet"), ("add", "--all"), commit):
        subprocess.run(["git", *command], cwd=folder, check=True)
