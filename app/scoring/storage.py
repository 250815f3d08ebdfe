"""Where files are: on this machine, or wherever an fsspec URL points. Everything is published whole or not at all."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol, cast

from app.errors import DataError, ScoringError

_LOCAL = "file://"
_STAMPS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "modified", "created")
"""What the file systems call that which changes with the content; the first one found counts."""


class Storage(Protocol):
    """Paths are those of its own find and join, and stand for themselves in messages."""

    def find(self, pattern: str) -> list[str]:
        """The files of a path or pattern, in a fixed order."""

    def identity(self, path: str) -> tuple[int, str]:
        """Size in bytes, and what changes with the content."""

    def open(self, path: str) -> IO[bytes]:
        """To read, from anywhere."""

    def draft(self, path: str) -> Any:
        """Context of a local path to write to; its content is at `path` afterwards, unless the context fails."""

    def names(self, folder: str) -> list[str]:
        """What is in a folder; nothing where there is none."""

    def remove(self, path: str) -> None:
        """A file or folder, where it exists."""

    def tidy(self, folder: str) -> None:
        """Removes drafts that a killed process left."""

    @property
    def filesystem(self) -> Any:
        """The fsspec file system, or None."""


class LocalStorage:
    """The machine's own files."""

    filesystem: Any = None

    def find(self, pattern: str) -> list[str]:
        pattern = pattern.removeprefix(_LOCAL)
        if Path(pattern).is_dir():
            raise DataError(pattern, f"is a folder; name its files, such as '{pattern.rstrip('/')}/*.parquet'")
        found = [pattern] if Path(pattern).exists() else sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
        return [path for path in found if not Path(path).is_dir()]

    def identity(self, path: str) -> tuple[int, str]:
        found = Path(path).stat()
        return found.st_size, str(found.st_mtime_ns)

    def open(self, path: str) -> IO[bytes]:
        return Path(path).open("rb")

    @contextmanager
    def draft(self, path: str) -> Iterator[Path]:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            yield draft
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)

    def names(self, folder: str) -> list[str]:
        path = Path(folder)
        return sorted(entry.name for entry in path.iterdir()) if path.exists() else []

    def remove(self, path: str) -> None:
        if Path(path).is_dir():
            shutil.rmtree(path)
        else:
            Path(path).unlink(missing_ok=True)

    def tidy(self, folder: str) -> None:
        for name in self.names(folder):
            if name.startswith("."):
                self.remove(f"{folder}/{name}")


class RemoteStorage:
    """What fsspec reaches. Object stores show an upload only when it is complete."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ImportError:
            raise ScoringError(f"{url}: URLs need fsspec; install the extra 'scale'") from None
        self._protocol = url.split("://")[0]
        try:
            self.filesystem: Any = fsspec.core.url_to_fs(url)[0]
        except (ImportError, ValueError) as error:
            raise ScoringError(f"{url}: {error}") from None

    def find(self, pattern: str) -> list[str]:
        found = [pattern] if self.filesystem.isfile(pattern) else sorted(self.filesystem.glob(pattern))
        return [path if "://" in path else f"{self._protocol}://{path}" for path in found]

    def identity(self, path: str) -> tuple[int, str]:
        info = self.filesystem.info(path)
        return int(info["size"] or 0), next((str(info[name]) for name in _STAMPS if info.get(name)), "")

    def open(self, path: str) -> IO[bytes]:
        return cast("IO[bytes]", self.filesystem.open(path, "rb"))

    @contextmanager
    def draft(self, path: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            draft = Path(folder, "draft")
            yield draft
            self.filesystem.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            self.filesystem.put_file(str(draft), path)

    def names(self, folder: str) -> list[str]:
        self.filesystem.invalidate_cache()
        if not self.filesystem.exists(folder):
            return []
        return sorted(str(path).rstrip("/").rsplit("/", 1)[-1] for path in self.filesystem.ls(folder, detail=False))

    def remove(self, path: str) -> None:
        if self.filesystem.exists(path):
            self.filesystem.rm(path, recursive=True)

    def tidy(self, folder: str) -> None:
        """An upload that was cut off has left nothing."""


def storage_of(path: str) -> Storage:
    """The storage that holds `path`. Raises `ScoringError`."""
    return RemoteStorage(path) if "://" in path and not path.startswith(_LOCAL) else LocalStorage()


def plain(path: str) -> str:
    """A path as its storage knows it."""
    return path.removeprefix(_LOCAL)
