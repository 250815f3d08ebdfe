"""The Prometheus instruments, one set for all workers.

Each worker counts into files of its own in `PROMETHEUS_MULTIPROC_DIR`, and a scrape of any worker adds them up. The
files belong to a worker's slot, not to its process: its successor counts on in them, so that no counter ever goes
back and their number stays bounded. They are written to their full size when they are made: a memory-mapped file
that meets a full disk later would kill the worker.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, values
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

DURATION_BUCKETS_S = (
    0.0001, 0.00015, 0.0002, 0.0003, 0.0005, 0.00075, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
)  # fmt: skip
SCORE_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)

_FILE_BYTES = 1 << 20
"""Room for some thousand series; the service has a few hundred."""


disable_created_metrics()  # several processes have no one time of creation


class BulkHistogram(Histogram):
    """A histogram that takes many observations at once."""

    def observe_many(self, observed: NDArray[np.float64]) -> None:
        """The same as `observe` of each."""
        places = np.searchsorted(self._upper_bounds, observed)
        for place, count in enumerate(np.bincount(places, minlength=len(self._buckets)).tolist()):
            if count:
                self._buckets[place].inc(count)
        self._sum.inc(float(observed.sum()))


class Instruments(Collector):
    """Everything that is counted. Made after the last fork, in worker `slot`; without a folder for itself alone.

    Raises `OSError` where the folder has no room for this worker's files.
    """

    def __init__(self, folder: Path | None = None, slot: str = "0") -> None:
        own = None
        if folder is None:
            own = CollectorRegistry()
        else:
            _claim(folder, slot)
        self._own = own

        def counter(name: str, what: str, labels: Sequence[str] = ()) -> Counter:
            return Counter(name, what, labels, registry=own)

        self.requests = counter("prediction_requests", "Readings by what became of them.", ["outcome"])
        self.duration = BulkHistogram(
            "prediction_duration_seconds", "Time from a complete request to its answer.",
            buckets=DURATION_BUCKETS_S, registry=own,
        )  # fmt: skip
        self.score = BulkHistogram(
            "prediction_score", "Anomaly probabilities given.", buckets=SCORE_BUCKETS, registry=own
        )
        self.stage_failures = counter("stage_failures", "Times a stage gave no answer.", ["stage", "reason"])
        self.violations = counter("contract_violations", "Problems of rejected readings.", ["feature", "code"])
        self.feature_rows = counter("feature_rows", "Readings by bin of the active reference.", ["feature", "bin"])
        self.feedback = counter(
            "feedback", "True outcomes reported, by what had been predicted.",
            ["model_version", "stage", "predicted", "actual"],
        )  # fmt: skip
        self.feedback_refused = counter("feedback_refused", "Feedback that was not counted.", ["reason"])
        self.http_refusals = counter("http_refusals", "Requests that HTTP was enough to refuse.", ["status"])
        self.audit_errors = counter("audit_errors", "Audit lines that could not be written.")
        self.log_lines_dropped = counter("log_lines_dropped", "Log lines lost because stdout was not read.")
        self.shed = counter("requests_shed", "Requests refused because of overload.")
        self.worker_starts = counter("worker_starts", "Workers started, the first ones included.")
        self.shadow_rows = counter("shadow_rows", "Readings a shadow version scored too.", ["agreement"])
        self.shadow_dropped = counter("shadow_dropped", "Readings the shadow version was too slow for.")
        self.shadow_failures = counter("shadow_failures", "Times the shadow version gave no answer.")

    def collect(self) -> Iterable[Metric]:
        """What all workers counted."""
        return self._own.collect() if self._own is not None else MultiProcessCollector(None).collect()


def _claim(folder: Path, slot: str) -> None:
    """Makes this process count into the files of `slot`."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    for kind in ("counter", "histogram"):
        with (folder / f"{kind}_{slot}.db").open("a+b") as file:
            os.posix_fallocate(file.fileno(), 0, _FILE_BYTES)
    values.ValueClass = values.MultiProcessValue(lambda: slot)
