"""One error of each kind, as a client may meet it under the contract that is served."""

from __future__ import annotations

from app.contract.problems import Problem, Rejected
from app.contract.schema import FeatureSchema
from app.errors import (
    AllStagesFailedError,
    AuditUnavailableError,
    ContractViolationError,
    FeedbackRefusedError,
    MalformedBodyError,
    RowsRejectedError,
    ServiceError,
    TensorError,
    TooManyRowsError,
)


def sample_errors(schema: FeatureSchema, max_batch_rows: int) -> list[ServiceError]:
    """Errors to show in the documentation."""
    rejected = _rejected(schema)
    unknown = Rejected((Problem("unknown", "No version 20200101T000000Z-000000 is known here", "prediction_id"),))
    return [
        MalformedBodyError("The body is not JSON: Expecting value (line 1, column 1)"),
        ContractViolationError(rejected),
        FeedbackRefusedError(unknown),
        TensorError("Input 'readings' needs either \"data\" or the parameter binary_data_size"),
        RowsRejectedError({7: rejected}),
        TooManyRowsError(max_batch_rows + 1, max_batch_rows),
        AllStagesFailedError([]),
        AuditUnavailableError("The record could not be written (No space left on device), and AUDIT_REQUIRED is set"),
    ]


def _rejected(schema: FeatureSchema) -> Rejected:
    """What the contract says to a reading with two mistakes."""
    first = schema.features[0]
    found = schema.check({**schema.example(), first.name: first.low - 1, "colour": 7})
    if not isinstance(found, Rejected):
        raise TypeError("a value below its range fulfils the contract")
    return found
