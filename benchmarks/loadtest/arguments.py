"""Values of the load test's options, each with a refusal that says what would be right."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError

from app.readiness.slo import Slo, SloError

_DURATION = re.compile(r"(?=.*[1-9])([0-9]+h)?([0-9]+m)?([0-9]+s?)?")


def slo_argument(text: str) -> Slo:
    """Raises `ArgumentTypeError` with every problem."""
    try:
        return Slo.parse(text)
    except SloError as error:
        raise ArgumentTypeError(str(error)) from None


def users_argument(text: str) -> int:
    """At least one. Raises `ArgumentTypeError`."""
    if not re.fullmatch(r"[0-9]{1,6}", text) or not int(text):
        raise ArgumentTypeError(f"{text!r} is no number of users; write for instance 20")
    return int(text)


def duration_argument(text: str) -> str:
    """Locust's own spelling; but 0, which it takes for no limit, is refused. Raises `ArgumentTypeError`."""
    if not _DURATION.fullmatch(text):
        raise ArgumentTypeError(f"{text!r} is no duration; write for instance 30s, 5m or 1h30m")
    return text
