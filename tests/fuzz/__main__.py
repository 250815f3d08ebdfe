"""`make fuzz`: many mutated requests against a live service of two workers. Exit status 0 only without a finding."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.e2e.conftest import PROJECT, Service
from tests.fuzz.fuzzing import fuzz, keep

FINDINGS = PROJECT / "fuzz-findings"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="the same seed sends the same requests")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="fuzz-") as folder,
        Service(Path(folder), PROJECT / "models", WEB_CONCURRENCY="2") as service,
    ):
        seen, summary = fuzz(service, arguments.seed, arguments.requests)
    print(summary)
    for finding in keep(seen.findings, FINDINGS / f"seed-{arguments.seed}"):
        print(f"  {finding}")
    return 1 if seen.findings else 0


if __name__ == "__main__":
    sys.exit(main())
