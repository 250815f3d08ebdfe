"""`POST /feedback`: what really was, for one prediction or for many."""

from __future__ import annotations

from flask import Blueprint, request

from app.api.exchange import Reply, read_json_body, request_context, respond
from app.api.problem import error_items
from app.api.replies import feedback as replies
from app.contract.feedback import Feedback
from app.contract.problems import Rejected
from app.errors import FeedbackRefusedError
from app.serving.feedback import FeedbackService


def feedback_views(service: FeedbackService, max_body_bytes: int) -> Blueprint:
    """The endpoint that takes feedback."""
    views = Blueprint("feedback", __name__)

    @views.post("/feedback")
    def feedback() -> Reply:
        environ = request.environ
        outcomes, many = service.receive(read_json_body(environ, max_body_bytes), request_context(environ))
        if not many and isinstance(outcomes[0], Rejected):
            raise FeedbackRefusedError(outcomes[0])
        refused = sum(isinstance(outcome, Rejected) for outcome in outcomes)
        document: replies.FeedbackReceipt = {
            "success": True,
            "accepted": len(outcomes) - refused,
            "refused": refused,
            "error": None,
        }
        if many:
            document["feedback"] = [_entry(outcome, index) for index, outcome in enumerate(outcomes)]
        return respond(environ, document, 202)

    return views


def _entry(outcome: Feedback | Rejected, index: int) -> replies.AcceptedFeedback | replies.RefusedFeedback:
    if isinstance(outcome, Feedback):
        return {"success": True, "prediction_id": outcome.prediction_id, "error": None}
    return {
        "success": False,
        "error": outcome.message,
        "errors": error_items(outcome.problems, f"/feedback/{index}"),
    }
