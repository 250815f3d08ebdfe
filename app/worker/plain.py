"""gunicorn's own workers, such as gthread: their refusals in the service's envelope, logged and counted like ours."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from email.utils import formatdate

from structlog.typing import FilteringBoundLogger

from app.api.problem import PROBLEM_JSON, problem_body
from app.serving.prediction import sane_request_id
from app.worker.wsgi import Reply, status_line


def problem_writer(
    refused: Callable[[int], None], log: FilteringBoundLogger
) -> Callable[[socket.socket, int, str, str], None]:
    """What takes the place of `gunicorn.util.write_error`, which answers what is no HTTP with a page of HTML."""

    def write_problem(client: socket.socket, status: int, reason: str, detail: str) -> None:
        request_id = sane_request_id(None)
        if status < 500:  # gunicorn has logged the others, with their tracebacks
            refused(status)
            log.warning("request.rejected", status=status, detail=detail or reason, request_id=request_id)
        body = problem_body(status, detail or reason, instance="", request_id=request_id)
        reply = Reply(status_line(status), [("Content-Type", PROBLEM_JSON), ("X-Request-ID", request_id)], body)
        date = formatdate(time.time(), usegmt=True).encode()
        client.sendall(reply.encode(head=False, keep_alive=False, date=date))

    return write_problem
