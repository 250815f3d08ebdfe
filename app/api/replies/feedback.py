"""What feedback is answered with."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from app.api.replies.problems import ErrorItem
from app.api.replies.vocabulary import Count, PredictionId, items


class AcceptedFeedback(TypedDict):
    """Feedback that was counted."""

    success: Literal[True]
    prediction_id: PredictionId
    error: None


class RefusedFeedback(TypedDict):
    """Feedback that was not, and why; the other entries are counted all the same."""

    success: Literal[False]
    error: str
    errors: list[ErrorItem]


class FeedbackReceipt(TypedDict):
    """How much was counted; `feedback`, in the order it was sent, only where it came as a list."""

    success: Literal[True]
    accepted: Count
    refused: Count
    error: None
    feedback: NotRequired[Annotated[list[Any], items(AcceptedFeedback, RefusedFeedback)]]
