"""gunicorn's own workers, such as gthread: their refusals in the service's envelope, logged and counted like ours."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from email.utils import formatdate

from structlog.typing import FilteringBoundLogger

from app.serving.prediction import sane_request_id
from app.worker.refusal import refusal


def problem_writer(
    refused: Callable[[int], None], log: FilteringBoundLogger
) -> Callable[[socket.socket, int, str, str], None]:
    """What takes the place of `gunicorn.util.write_error`, which answers what is no HTTP with a page of HTML."""

    def write_problem(client: socket.socket, status: int, reason: str, detail: str) -> None:
        request_id = sane_request_id(None)
        if status < 500:  # gunicorn has logged the others, with their tracebacks
            refused(status)
            log.warning("request.rejected", status=status, detail=detail or reason, request_id=request_id)
        reply = refusal(status, detail or reason, "", request_id)
        date = formatdate(time.time(), usegmt=True).encode()
        client.sendall(reply.encode(head=False, keep_alive=False, date=date))

    return write_problem
