"""`models/`: which versions there are, which one is active, and how it came to be."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from app.contract.schema import FeatureSchema
from app.errors import RegistryError
from app.model.bundle import Bundle, BundleDraft, check_golden, load_bundle, verify_files, write_bundle
from app.model.manifest import MANIFEST_FILE, SIGNATURE_FILE, Manifest, read_manifest, signature
from app.model.scorer import estimator_scores

POINTER_FILE = "ACTIVE"
HISTORY_FILE = "history.jsonl"


Gate = Literal["passed", "forced"]


class HistoryEntry(msgspec.Struct, frozen=True):
    """One change of the registry; `previous` is the version that was active before."""

    at: str
    action: Literal["register", "activate", "rollback"]
    version: str
    previous: str | None = None
    gate: Gate | msgspec.UnsetType = msgspec.UNSET
    """How an activation came through the gate, where it was asked."""
    failed: list[str] | msgspec.UnsetType = msgspec.UNSET
    """What it was forced in spite of, with figures."""


class Registry:
    """The versions below one folder. Every change is one atomic rename; readers need no lock."""

    def __init__(self, folder: Path, schema: FeatureSchema, signing_key: bytes | None = None) -> None:
        self.folder = folder
        self._schema = schema
        self._signing_key = signing_key

    # --- reading --------------------------------------------------------------------------------------------

    def versions(self) -> list[str]:
        """All registered versions, oldest first."""
        return sorted(path.parent.name for path in self.folder.glob(f"[!.]*/{MANIFEST_FILE}"))

    def active(self) -> str | None:
        """The version the pointer names, whether or not it can be loaded. Raises `RegistryError`."""
        path = self.folder / POINTER_FILE
        try:
            return path.read_text().strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise RegistryError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error

    def pointer_stamp(self) -> int:
        """Changes whenever the pointer is written, even with the same name: somebody asks to look again."""
        try:
            return (self.folder / POINTER_FILE).stat().st_mtime_ns
        except OSError:
            return 0

    def history(self) -> list[HistoryEntry]:
        """All changes, oldest first; a torn last line is left out."""
        try:
            lines = (self.folder / HISTORY_FILE).read_bytes().splitlines()
        except FileNotFoundError:
            return []
        entries: list[HistoryEntry] = []
        for line in lines:
            try:
                entries.append(msgspec.json.decode(line, type=HistoryEntry))
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue
        return entries

    def previous(self) -> str | None:
        """The version that was active before the current one: where `rollback` goes. Raises `RegistryError`."""
        stack = self._activations()
        return stack[-2] if len(stack) > 1 else None

    def holds(self, version: str) -> bool:
        """Whether a version of that name is registered here."""
        return Path(version).name == version and (self.folder / version / MANIFEST_FILE).is_file()

    def manifest(self, version: str) -> Manifest:
        """A version's manifest, its signature verified where there is a key. Raises `BundleError`."""
        return read_manifest(self._path(version), self._signing_key)

    def load(self, version: str) -> Bundle:
        """The version in memory, verified. Raises `BundleError` or `RegistryError`."""
        return load_bundle(self._path(version), self._schema, self._signing_key)

    def verify(self, version: str) -> Manifest:
        """Checks every file's bytes, then loads every stage and scores its golden rows.

        Raises `BundleError` for what a service would refuse, and for any stray file.
        """
        verify_files(self._path(version), self._signing_key)
        bundle = self.load(version)
        for refusal in bundle.refusals.values():
            raise refusal
        for stage, estimator in bundle.estimators.items():
            check_golden(bundle, stage, estimator_scores(estimator, bundle.golden_rows))
        return bundle.manifest

    # --- changing -------------------------------------------------------------------------------------------

    def register(self, draft: BundleDraft) -> str:
        """Writes a new version, activates nothing, and returns its name."""
        with self._locked():
            version = write_bundle(self.folder, draft, self._schema, self._signing_key).name
            self._append(HistoryEntry(_now(), "register", version))
        return version

    def activate(
        self, version: str, gate: Gate | msgspec.UnsetType = msgspec.UNSET, failed: Sequence[str] = ()
    ) -> str | None:
        """Points at a verified version and returns the one that was active before.

        The history keeps how it came through the `gate`, and what `failed` there.

        Raises `BundleError` or `RegistryError`; then nothing has changed.
        """
        self.verify(version)
        with self._locked():
            reasons = list(failed) or msgspec.UNSET
            return self._point_at(HistoryEntry(_now(), "activate", version, self.active(), gate, reasons))

    def rollback(self) -> str:
        """Points at the version that was active before the current one, and returns it.

        Rolling back again goes further back. Raises `BundleError` or `RegistryError`; then nothing has changed.
        """
        with self._locked():
            version = self.previous()
            if version is None:
                raise RegistryError("there is no earlier version to roll back to")
            self.verify(version)
            self._point_at(HistoryEntry(_now(), "rollback", version, self.active()))
        return version

    def sign(self, versions: Sequence[str], key: bytes) -> None:
        """Signs versions with another key, once all of them have passed with the present one, hash by hash.

        Raises `BundleError` or `RegistryError`; where one of them does not pass, none is signed.
        """
        with self._locked():
            for version in versions:
                verify_files(self._path(version), self._signing_key)
            for version in versions:
                folder = self._path(version)
                signed = signature((folder / MANIFEST_FILE).read_bytes(), key)
                _replace(folder / SIGNATURE_FILE, signed.encode() + b"\n")

    def _activations(self) -> list[str]:
        """The versions that led to the active one, as a stack: activate pushes, rollback pops."""
        moves = [entry for entry in self.history() if entry.action != "register"]
        before, *after = [*(entry.previous for entry in moves), self.active()]  # what each change found
        stack = [before] if before is not None else []
        for entry, found in zip(moves, after, strict=True):
            if entry.version != found == entry.previous:
                continue  # written down, but its process died before the pointer moved
            if entry.action == "rollback":
                del stack[-1:]
            elif stack[-1:] != [entry.version]:
                stack.append(entry.version)
            if found is not None and stack[-1:] != [found]:
                stack.append(found)  # by hand
        return stack

    def _point_at(self, entry: HistoryEntry) -> str | None:
        # The history comes first: where it cannot be written, the pointer has not moved.
        self._append(entry)
        _replace(self.folder / POINTER_FILE, entry.version.encode() + b"\n")
        return entry.previous

    def _append(self, entry: HistoryEntry) -> None:
        path = self.folder / HISTORY_FILE
        before = path.read_bytes() if path.exists() else b""
        torn = b"\n" if before and not before.endswith(b"\n") else b""
        _replace(path, before + torn + msgspec.json.encode(entry) + b"\n")

    def _path(self, version: str) -> Path:
        if version not in self.versions():
            known = ", ".join(self.versions()) or "none"
            raise RegistryError(f"no version {version!r} in {self.folder}; registered: {known}")
        return self.folder / version

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time, across processes. A folder that cannot be written is a `RegistryError`."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise RegistryError(f"{self.folder} cannot be changed: {error.strerror or error}") from error


def _replace(path: Path, content: bytes) -> None:
    """Puts new content in place of a file's, in one step, complete and synced."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
