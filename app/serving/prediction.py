"""The values that a prediction is made of on its way."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Sequence

import msgspec

from app.contract.schema import Row
from app.serving.chain import WARNINGS, Answer

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}", re.ASCII)


class RequestContext(msgspec.Struct, frozen=True, gc=False):
    """What a prediction needs to know of the request that asked for it."""

    request_id: str
    trace_id: str | None
    trace_flags: str
    started_s: float
    """`time.perf_counter()` when the request was complete."""

    @property
    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.started_s) * 1000


class Prediction(msgspec.Struct, frozen=True, gc=False):
    """One answered reading; `score` is the anomaly probability in [0, 1]."""

    row: Row
    score: float
    is_anomaly: bool
    model_used: str
    model_version: str | None
    prediction_id: str
    latency_ms: float
    warning: str | None


def sane_request_id(sent: str | None) -> str:
    """The client's own id where it is short and printable, else a new one."""
    if sent is not None and _SANE_REQUEST_ID.fullmatch(sent):
        return sent
    return random_hex(96)


def random_hex(bits: int) -> str:
    """A name that no other process gives: Python seeds its generator anew in every forked child."""
    return f"{random.getrandbits(bits):0{bits // 4}x}"


def predictions(rows: Sequence[Row], answer: Answer, version: str | None, latency_ms: float) -> list[Prediction]:
    """The chain's answer as one prediction per row."""
    name, threshold = answer.stage.name, answer.stage.threshold
    warning = WARNINGS[name]
    return [
        Prediction(
            row, score, score >= threshold, name, version, _prediction_id(version, name, score >= threshold),
            latency_ms, warning,
        )
        for row, score in zip(rows, answer.scores, strict=True)
    ]  # fmt: skip


def _prediction_id(version: str | None, stage: str, is_anomaly: bool) -> str:
    """`VERSION.STAGE.DECISION.UNIQUE`, so that any replica can score feedback on it without a look-up."""
    return f"{version or '-'}.{stage}.{int(is_anomaly)}.{random_hex(72)}"
