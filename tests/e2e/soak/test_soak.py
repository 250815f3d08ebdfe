"""A short soak."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.arena import Arena
from tests.soak.kinds import MIX
from tests.soak.samples import Sample
from tests.soak.soak import Soak, WorkerReplacedError
from tests.soak.table import csv_header, csv_line, markdown


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    """A folder, a registry and services that end with the test."""
    with ExitStack() as stack:
        yield Arena(tmp_path, stack)


def test_a_few_seconds_of_everything_leave_nothing_behind(arena: Arena) -> None:
    """All kinds of requests, activations, a refusal; memory is not judged, since so short a run is all warm-up."""
    seen: list[Sample] = []
    report = Soak(arena, minutes=0.1, watch=seen.append).run()
    assert [finding for finding in report.findings if "memory" not in finding] == []
    assert report.tally.wrong == 0
    assert report.tally.requests.keys() == MIX.keys()
    assert report.activated > 6
    assert report.refused >= 1
    assert len(seen) > 6
    assert all(f"| {whose} | {what} |" in markdown(report) for whose, what in report.end.figures)
    assert csv_header(seen[0]).count(",") == csv_line(seen[0]).count(",") == len(seen[0].figures)


def test_a_worker_that_is_replaced_ends_it(arena: Arena) -> None:
    """Its figures would be those of another process."""
    soak = Soak(arena, minutes=0.05, watch=lambda _: os.kill(soak.workers[0], signal.SIGKILL))
    with pytest.raises(WorkerReplacedError):
        soak.run()
