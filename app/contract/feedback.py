"""What valid feedback is: the id of a prediction and what really was."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Any

from app.contract.body import strict_json
from app.contract.problems import Problem, Rejected, type_name
from app.contract.schema import check_count
from app.errors import ContractViolationError

PREDICTION_ID = r"(-|[A-Za-z0-9][A-Za-z0-9._-]{0,99})\.(primary|fallback|baseline)\.([01])\.[0-9a-f]{18}(-[0-9]{1,9})?"
"""Version, stage and decision are its first groups."""

_ID = re.compile(PREDICTION_ID)


@dataclass(frozen=True, slots=True)
class Feedback:
    """The true outcome of one prediction, and what its id says of it."""

    prediction_id: str
    model_version: str
    """`-` where the rule answered without any model."""
    stage: str
    predicted: int
    actual: int


def parse_feedback(body: bytes, max_entries: int = sys.maxsize) -> tuple[list[Feedback | Rejected], bool]:
    """The entries of a body, and whether they came as a list: `{"feedback": [entry, ...]}` or one entry alone.

    Raises `MalformedBodyError`, `TooManyRowsError`, or `ContractViolationError` where the envelope is wrong.
    """
    document = strict_json(body)
    if not isinstance(document, dict):
        raise ContractViolationError(
            Rejected((Problem("not_an_object", f"Feedback must be a JSON object, got {type_name(document)}"),))
        )
    if set(document) != {"feedback"}:
        return [_entry(document)], False
    entries = document["feedback"]
    if not isinstance(entries, list):
        raise ContractViolationError(
            Rejected((Problem("not_a_batch", f'"feedback" must be an array, got {type_name(entries)}'),))
        )
    check_count(len(entries), max_entries)
    return [_entry(entry) for entry in entries], True


def _entry(value: Any) -> Feedback | Rejected:
    if not isinstance(value, dict) or set(value) != {"prediction_id", "actual"}:
        return Rejected((Problem("not_an_object", 'Feedback must have the keys "prediction_id" and "actual"'),))
    actual, prediction_id = value["actual"], value["prediction_id"]
    problems = []
    match = _ID.fullmatch(prediction_id) if isinstance(prediction_id, str) else None
    if match is None:
        message = "prediction_id must be one that a prediction came with: VERSION.STAGE.DECISION.UNIQUE"
        problems.append(Problem("malformed_id", message, "prediction_id"))
    if isinstance(actual, bool) or not isinstance(actual, int) or actual not in (0, 1):
        problems.append(Problem("not_binary", "actual must be 0 or 1", "actual"))
    if match is None or problems:
        return Rejected(tuple(problems))
    return Feedback(prediction_id, match[1], match[2], int(match[3]), actual)
