"""`make chaos`: injects every fault under load, prints the table, and fails where the service falls short."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import tests.chaos.rows  # noqa: F401 - registers the faults
from tests.chaos.arena import ROWS, run
from tests.chaos.table import Result, markdown, write
from tests.measured import RELIABILITY, setting


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the rows; status 1 where one is not as expected."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--row", action="append", choices=ROWS, metavar="NAME", help=f"one of: {', '.join(ROWS)}")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    options = parser.parse_args(arguments)
    results: list[Result] = []
    for name in options.row or ROWS:
        result = run(name)
        print(f"[{name}, {result.seconds:.0f} s] {result.line()}", file=sys.stderr, flush=True)
        for detail in result.summary.details if result.shortfalls else ():
            print(f"    {detail}", file=sys.stderr, flush=True)
        results.append(result)
    print(setting(), markdown(results), sep="\n\n")
    if options.write:
        write(results, RELIABILITY)
    return 1 if any(result.shortfalls or result.delays for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
