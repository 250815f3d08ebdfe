"""The exception family. Each carries data; none knows HTTP: one table in `app.api.errors` maps them to statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from app.contract.problems import Rejected

_ROWS_SHOWN = 20
"""Rejected rows that a message names."""


class ServiceError(Exception):
    """Base of everything this package raises on purpose."""


class SettingsError(ServiceError):
    """The environment does not describe a service; `problems` holds one sentence per variable."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("invalid settings:\n  " + "\n  ".join(problems))


# --- what a client sent -------------------------------------------------------------------------------------


class MalformedBodyError(ServiceError):
    """The bytes are not one strict JSON document."""


class ContractViolationError(ServiceError):
    """A JSON document that is not what the contract asks for; `rejected` holds every problem, never only the first."""

    def __init__(self, rejected: Rejected) -> None:
        self.rejected = rejected
        super().__init__(rejected.message)


class FeedbackRefusedError(ServiceError):
    """Feedback that names no prediction of ours, or one that has had its feedback; `rejected` says which."""

    def __init__(self, rejected: Rejected) -> None:
        self.rejected = rejected
        super().__init__(rejected.message)

    @property
    def repeated(self) -> bool:
        return any(problem.code == "repeated" for problem in self.rejected.problems)


class RowsRejectedError(ServiceError):
    """Rows of a request that is answered as a whole or not at all; `rejected` holds them by position, from 0."""

    def __init__(self, rejected: Mapping[int, Rejected]) -> None:
        self.rejected = rejected
        shown = [f"row {place}: {entry.message}" for place, entry in islice(rejected.items(), _ROWS_SHOWN)]
        if len(rejected) > len(shown):
            shown.append(f"and {len(rejected) - len(shown)} more rows")
        super().__init__("; ".join(shown))


class TensorError(ServiceError):
    """An inference request's tensors do not fit their own description, each other, or what the model takes."""


class TooManyRowsError(ServiceError):
    """A batch holds more rows than `MAX_BATCH_ROWS`."""

    def __init__(self, rows: int, limit: int) -> None:
        self.rows, self.limit = rows, limit
        super().__init__(f"{rows} rows in one batch, at most {limit} are allowed (MAX_BATCH_ROWS)")


# --- bundles and the registry -------------------------------------------------------------------------------


class BundleError(ServiceError):
    """A model version, or one file of it, must not be used."""


class ManifestError(BundleError):
    """The manifest is missing, unreadable, of another format or contradicts itself."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"{path}: {problem}")


class IntegrityError(BundleError):
    """A file's bytes are not those the manifest lists."""

    def __init__(self, path: Path, expected: str, actual: str) -> None:
        self.path, self.expected, self.actual = path, expected, actual
        super().__init__(f"{path}: SHA-256 is {actual}, the manifest says {expected}")


class UnlistedFileError(BundleError):
    """A file that the manifest does not list lies in the version's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path}: not listed in the manifest")


class SignatureError(BundleError):
    """`MODEL_SIGNING_KEY` is set, and the manifest's signature is missing or wrong."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"{path}: {problem}")


class EnvironmentMismatchError(BundleError):
    """The bundle was made with library versions that may not load it the same way."""

    def __init__(self, differences: Sequence[str]) -> None:
        self.differences = tuple(differences)
        super().__init__("made in another environment: " + ", ".join(differences))


class ContractMismatchError(BundleError):
    """The bundle was trained for other features than the contract this service serves."""


class UnpickleError(BundleError):
    """Verified bytes that joblib cannot turn into an estimator."""


class UntrustedTypesError(BundleError):
    """A skops file that holds types nobody vouched for; none of them was built."""

    def __init__(self, path: Path, types: Sequence[str]) -> None:
        self.path, self.types = path, tuple(types)
        options = " ".join(f"--trust {name}" for name in types)
        super().__init__(f"{path}: holds types that skops does not know to be harmless; if you do, add {options}")


class MlflowError(BundleError):
    """An MLflow model directory that cannot be registered, or cannot be written."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path, self.problem = path, problem
        super().__init__(f"{path}: {problem}")


class GoldenRowsError(BundleError):
    """An estimator does not reproduce the scores that its manifest promises."""

    def __init__(self, stage: str, problem: str) -> None:
        self.stage, self.problem = stage, problem
        super().__init__(f"{stage}: {problem}")


class RegistryError(ServiceError):
    """A registry command that cannot be carried out, for instance an unknown version."""


class GateRefusedError(ServiceError):
    """A candidate that must not become active; `failed` names each criterion with its figures."""

    def __init__(self, version: str, failed: Sequence[str], remedy: str) -> None:
        self.version, self.failed = version, tuple(failed)
        super().__init__(f"{version} was refused, and nothing has changed: {'; '.join(failed)}. {remedy}")


# --- serving ------------------------------------------------------------------------------------------------


class StageFailedError(ServiceError):
    """One stage of the chain gave no usable answer; the next one is asked."""

    def __init__(self, stage: str, reason: str, detail: str = "") -> None:
        self.stage, self.reason, self.detail = stage, reason, detail
        super().__init__(f"{stage}: {reason}" + (f" ({detail})" if detail else ""))


class AllStagesFailedError(ServiceError):
    """Primary, fallback and rule all failed; `failures` says why, one per stage."""

    def __init__(self, failures: Sequence[StageFailedError]) -> None:
        self.failures = tuple(failures)
        super().__init__("All prediction methods failed")


class AuditUnavailableError(ServiceError):
    """`AUDIT_REQUIRED` is set and the record could not be written, so the prediction must not leave."""


# --- training data ------------------------------------------------------------------------------------------


class DataError(ServiceError):
    """A data file that cannot be used, with the place to look at."""

    def __init__(self, source: object, problem: str, *, column: str | None = None, row: int | None = None) -> None:
        self.column, self.row, self.problem = column, row, problem
        place = ", ".join(
            part for part in (f"column {column!r}" if column else "", f"row {row}" if row else "") if part
        )
        super().__init__(f"{source}: {place + ': ' if place else ''}{problem}")


# --- the report ---------------------------------------------------------------------------------------------


class ReportError(ServiceError):
    """A question that the audit files cannot answer, such as one about a folder that is not there."""


class ReplayError(ServiceError):
    """Audited traffic that cannot be shown to a version: there is none, or one of the two versions cannot score."""


class ScoringError(ServiceError):
    """Files that cannot be scored, or not into this folder; what was written before stays as it is."""


# --- the readiness audit ------------------------------------------------------------------------------------


class ReadinessError(ServiceError):
    """An audit that cannot be made, such as one of a service that does not start."""


class OutOfReachError(ServiceError):
    """What a check needs is not there to be asked, so nothing can be said either way."""
