"""The reply to a request that never reaches the app, in the same envelope as the app's own errors."""

from __future__ import annotations

from app.api.problem import PROBLEM_JSON, problem_body
from app.worker.wsgi import Headers, Reply, status_line


def refusal(
    status: int, detail: str, path: str, request_id: str, *, kind: str | None = None, headers: Headers | None = None
) -> Reply:
    """A problem document as a reply; `headers` are further ones."""
    body = problem_body(status, detail, instance=path, request_id=request_id, kind=kind)
    named: Headers = [("Content-Type", PROBLEM_JSON), ("X-Request-ID", request_id)]
    return Reply(status_line(status), named + (headers or []), body)
