"""The counters of all workers as one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from app.telemetry.instruments import BulkHistogram, Instruments

ROOT = Path(__file__).parents[3]


@given(st.lists(st.floats(0, 10), max_size=50))
def test_many_observations_at_once_are_the_same_as_one_by_one(observed: list[float]) -> None:
    """Bucket edges included."""
    bulk_registry, registry = CollectorRegistry(), CollectorRegistry()
    edges = (0.5, 1.0, 2.5, 10.0)
    bulk = BulkHistogram("h", "h", buckets=edges, registry=bulk_registry)
    single = Histogram("h", "h", buckets=edges, registry=registry)
    bulk.observe_many(np.array([*observed, *edges]))
    for value in (*observed, *edges):
        single.observe(value)
    for name, labels in (("h_count", {}), *(("h_bucket", {"le": str(edge)}) for edge in edges)):
        assert bulk_registry.get_sample_value(name, labels) == registry.get_sample_value(name, labels)
    assert bulk_registry.get_sample_value("h_sum") == pytest.approx(registry.get_sample_value("h_sum"))


COUNT_AND_DIE = """
import os, signal, sys
from pathlib import Path
from app.telemetry.instruments import Instruments
instruments = Instruments(Path(sys.argv[1]), sys.argv[2])
instruments.requests.labels("primary").inc(float(sys.argv[3]))
os.kill(os.getpid(), signal.SIGKILL)
"""

READ = """
import sys
from pathlib import Path
from app.telemetry.instruments import Instruments
instruments = Instruments(Path(sys.argv[1]), "9")
for metric in instruments.collect():
    for sample in metric.samples:
        if sample.name == "prediction_requests_total":
            print(sample.labels["outcome"], sample.value)
"""


def run(code: str, *arguments: object) -> str:
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    return done.stdout


def test_a_successor_counts_on_where_a_killed_worker_stopped(tmp_path: Path) -> None:
    """No counter goes back, none is counted twice, and the number of files does not grow."""
    for amount in (3, 4):
        run(COUNT_AND_DIE, tmp_path, "0", amount)
    run(COUNT_AND_DIE, tmp_path, "1", 10)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert run(READ, tmp_path) == "primary 17.0\n"
    assert files == ["counter_0.db", "counter_1.db", "histogram_0.db", "histogram_1.db"]


def test_without_room_for_its_files_it_says_so_at_once(tmp_path: Path) -> None:
    """Not by a bus error in the middle of a request."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        Instruments(tmp_path / "file", "0")
