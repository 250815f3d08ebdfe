"""The source tree: what is written down beside the code that runs."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from app.errors import OutOfReachError


@dataclass(frozen=True, slots=True)
class Checkout:
    """A folder that should be this project's. A file that lacks is an `OSError`."""

    root: Path

    def path(self, name: str) -> Path:
        """A file or folder in it. Raises `OutOfReachError` where there is no checkout, as in a container."""
        if not (self.root / "pyproject.toml").is_file():
            raise OutOfReachError(f"{self.root} is no checkout; name one with --checkout")
        return self.root / name

    def text(self, name: str) -> str:
        """A file's text."""
        return self.path(name).read_text()

    def says(self, words: str, name: str) -> bool:
        """Whether a file is there and has these words in it."""
        path = self.path(name)
        return path.is_file() and words in path.read_text()

    def yaml(self, name: str) -> Any:
        """A YAML file's content."""
        return msgspec.yaml.decode(self.text(name))

    def git(self, *arguments: str) -> str:
        """What git says; raises `OSError` with its own words where it cannot."""
        done = subprocess.run(  # noqa: S603 - arguments of this package's own
            ["git", "-C", str(self.path(".")), *arguments],  # noqa: S607 - whichever git is installed
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise OSError(done.stderr.strip() or f"git {arguments[0]} failed")
        return done.stdout.strip()
