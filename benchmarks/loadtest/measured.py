"""What the requests took and how many went well, as service level objectives are judged by."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from app.readiness.slo import Verdict


class Part(TypedDict):
    """What one of several load-generating processes has measured since it last told."""

    latencies_s: list[float]
    requests: int
    failures: int


class Measured:
    """Every latency as it was: locust's own statistics round to milliseconds, and count failures among the latencies.

    A latency counts where a prediction was asked for and rightly given; success is judged over all requests.
    """

    def __init__(self) -> None:
        self._latencies_s = array("d")
        self.requests = 0
        self.failures = 0

    def add(self, latency_s: float, *, right: bool, is_prediction: bool) -> None:
        """One request."""
        self.requests += 1
        self.failures += not right
        if right and is_prediction:
            self._latencies_s.append(latency_s)

    def add_part(self, part: Part) -> None:
        """What another process has measured."""
        self._latencies_s.extend(part["latencies_s"])
        self.requests += part["requests"]
        self.failures += part["failures"]

    def take(self) -> Part:
        """All so far, which is forgotten here."""
        part: Part = {
            "latencies_s": self._latencies_s.tolist(),
            "requests": self.requests,
            "failures": self.failures,
        }
        self._latencies_s = array("d")
        self.requests = self.failures = 0
        return part

    @property
    def predictions(self) -> int:
        """How many latencies there are."""
        return len(self._latencies_s)

    @property
    def success(self) -> float:
        """Share of all requests that were answered rightly; NaN without requests."""
        return (self.requests - self.failures) / self.requests if self.requests else float("nan")

    def percentile(self, share: float) -> float:
        """The latency, seconds, that this share of the predictions did not exceed: one that was measured; NaN: none."""
        if not self._latencies_s:
            return float("nan")
        return float(np.quantile(np.frombuffer(self._latencies_s), share, method="inverted_cdf"))


def result(measured: Measured, verdicts: Sequence[Verdict]) -> str:
    """What was measured, and the verdicts, a line each."""
    lines = [("objective", "limit", "seen", "met")]
    lines += [(one.objective, one.limit, one.seen, "yes" if one.met else "NO") for one in verdicts]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    counts = f"{measured.requests:,} requests, {measured.failures:,} failed; latencies of {measured.predictions:,}"
    return "\n".join([f"\n{counts} predictions", *table])
