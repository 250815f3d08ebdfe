"""`make soak`: mixed traffic for a while; prints what was held at start, middle and end, and fails where it grew."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.chaos.arena import Arena
from tests.measured import RELIABILITY, setting
from tests.soak.samples import Sample
from tests.soak.soak import Soak, WorkerReplacedError
from tests.soak.table import csv_header, csv_line, markdown, write


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs it; status 1 where anything has grown, a reply was wrong, an error logged or a worker replaced."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="of traffic, after a tenth of it to warm up")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        try:
            report = Soak(Arena(Path(folder), stack), options.minutes, Printer()).run()
        except WorkerReplacedError as error:
            print(error, file=sys.stderr)
            return 1
    print(setting(), markdown(report), sep="\n\n")
    if options.write:
        write(report, RELIABILITY)
    return 1 if report.findings else 0


class Printer:
    """Prints samples as lines of CSV, while it goes on."""

    def __init__(self) -> None:
        self._began_s: float | None = None

    def __call__(self, sample: Sample) -> None:
        """One more."""
        if self._began_s is None:
            self._began_s = sample.at_s
            print(csv_header(sample), file=sys.stderr)
        print(csv_line(Sample(sample.at_s - self._began_s, sample.figures)), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
