"""A bounded load of valid readings on an instance of one's own, every reply looked at."""

from __future__ import annotations

import http.client
import itertools
import json
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from app.contract.schema import FeatureSchema
from app.model.stages import PRIMARY
from app.readiness.service import Service

CLIENTS = 4
PACE_S = 0.005
"""Between a reply and the client's next request."""

_READINGS = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it ended, by the monotonic clock, and how long it took."""

    at: float
    seconds: float
    version: str | None
    """Of the primary that answered; None where it did not."""


@dataclass(slots=True)
class Load:
    """`with Load(service, schema) as load:` sends while the block runs; `answers` holds every reply."""

    service: Service
    schema: FeatureSchema
    answers: list[Answer] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _clients: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        rows = self.schema.sample(_READINGS, seed=1).tolist()
        bodies = [json.dumps(dict(zip(self.schema.names, row, strict=True))).encode() for row in rows]
        for number in range(CLIENTS):
            client = threading.Thread(target=self._send, args=(bodies[number::CLIENTS],), daemon=True)
            client.start()
            self._clients.append(client)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stopping.set()
        for client in self._clients:
            client.join()

    @property
    def failed(self) -> int:
        """Requests without a right answer."""
        return sum(answer.version is None for answer in self.answers)

    @property
    def success(self) -> float:
        """The share of requests with a right answer; NaN where there were none."""
        return 1 - self.failed / len(self.answers) if self.answers else math.nan

    def percentile_s(self, share: float) -> float:
        """The seconds that `share` of the answered requests stayed below; NaN where there are none."""
        taken = sorted(answer.seconds for answer in self.answers if answer.version is not None)
        if not taken:
            return math.nan
        return taken[min(len(taken) - 1, int(share * len(taken)))]

    def _send(self, bodies: Sequence[bytes]) -> None:
        with self.service.kept() as service:
            for body in itertools.cycle(bodies):
                if self._stopping.wait(PACE_S):
                    return
                start = time.monotonic()
                version = _version(service, body)
                end = time.monotonic()
                self.answers.append(Answer(end, end - start, version))


def _version(service: Service, body: bytes) -> str | None:
    """Of a right answer: by the primary, since a service that leaves it all to the rule is quick too."""
    try:
        reply = service.send("/predict", body)
        right = reply.status == 200 and reply.json["model_used"] == PRIMARY
        return str(reply.json["model_version"]) if right else None
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return None
