"""`make bench-peers`: this service beside its peers, the same models and the same load for all (needs wrk).

In every round each server is started, warmed up, measured and stopped, one after the other, so that none of them
shares the machine with another. Shared machines drift: the figures to quote are the ratios, taken within one round.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

if __package__ in (None, ""):  # as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.peer_models import ESTIMATORS, make_case, reading
from benchmarks.peer_report import Absence, Report, Run, markdown, write
from benchmarks.peer_servers import OWN, SERVERS, WORKERS
from benchmarks.peer_sites import PEERS, Site
from benchmarks.processes import cpu_s, pss_mb
from benchmarks.wrk import post_load, wrk_program

HERE = Path(__file__).resolve().parent
WARM_UP_S = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, or reads what was measured before, and prints the tables; status 1 where a server was left out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=_names(ESTIMATORS), default=list(ESTIMATORS), help="default: all of them")
    parser.add_argument("--peers", type=_names(SERVERS), default=list(SERVERS), help="default: all of them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="of load per server and round")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep everything that was measured")
    parser.add_argument("--read", type=Path, metavar="FILE", help="measure nothing, take what --json has kept")
    parser.add_argument("--write", action="store_true", help="put tables and plot into benchmarks/README.md")
    options = parser.parse_args(arguments)
    # So that the server is stopped and the temporary files are removed, as with Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        report = msgspec.json.decode(options.read.read_bytes(), type=Report) if options.read else _measured(options)
    except (OSError, RuntimeError, msgspec.MsgspecError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    if options.json:
        options.json.write_bytes(msgspec.json.encode(report))
    print(markdown(report))
    if options.write:
        write(report, HERE / "README.md", HERE / "peers.svg")
    return 1 if report.absences else 0


def _names(known: Collection[str]) -> Callable[[str], list[str]]:
    """Reads `a,b` as some of the known names."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown} not among {', '.join(known)}")
        return names

    return read


def _measured(options: argparse.Namespace) -> Report:
    wrk_program()  # before anything is started
    servers = list(dict.fromkeys([OWN, *options.peers]))
    report = Report(_setting(options), {name: _version(name) for name in servers if name != OWN}, [], [])
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        for model in options.models:
            case = make_case(model, Path(folder, model))
            sites = [Site(name, case, Path(folder, model, name)) for name in servers]
            for number in range(1, options.rounds + 1):
                sites = [site for site in sites if _take_part(site, number, options, report)]
    return report


def _take_part(site: Site, number: int, options: argparse.Namespace, report: Report) -> bool:
    """Adds the server's run to the report; False where it is to be left out of the rounds to come."""
    print(f"{site.case.name}, round {number}: {site.name}", end="", file=sys.stderr, flush=True)
    try:
        run = _run(site, number, options)
    except RuntimeError as error:
        print(f": left out, {error}", file=sys.stderr)
        report.absences.append(Absence(site.case.name, site.name, number, str(error)))
        return False
    print(f": {run.requests_per_s:,.0f} req/s", file=sys.stderr)
    report.runs.append(run)
    return True


def _run(site: Site, number: int, options: argparse.Namespace) -> Run:
    if not site.folder.exists():
        site.lay_out()
    bodies = [site.body(reading(row)) for row in site.case.rows]
    with site.running() as server:
        site.check_answers(server.port)
        out_of_range = site.status_out_of_range(server.port)
        url = f"http://127.0.0.1:{server.port}{site.server.path}"
        post_load(url, bodies, options.connections, WARM_UP_S)
        before_s = cpu_s(server.pid)
        load = post_load(url, bodies, options.connections, options.seconds)
        cpu_us = (cpu_s(server.pid) - before_s) / max(1, load.requests) * 1e6
        return Run(
            site.case.name, site.name, number, load.requests_per_s, load.p50_ms, load.p99_ms, cpu_us,
            pss_mb(server.pid), server.cold_start_s, load.failures, out_of_range,
        )  # fmt: skip


def _setting(options: argparse.Namespace) -> str:
    """What the figures depend on."""
    processor = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    packages = ", ".join(f"{name} {version(name)}" for name in ("scikit-learn", "treelite", "gunicorn", "flask"))
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; {processor[1] if processor else platform.machine()}, {os.cpu_count()} cores "
        f"shared by load generator and server; Python {platform.python_version()}, {packages}. {WORKERS} workers each, "
        f"{options.connections} keep-alive connections; rounds of {options.seconds} s: {options.rounds}. "
        "Each figure is the median of the rounds, with the least and the most."
    )


def _version(name: str) -> str:
    """As it is pinned."""
    pin = re.search(rf"^{SERVERS[name].package}==(\S+)", (PEERS / name / "requirements.txt").read_text(), re.MULTILINE)
    return pin[1] if pin else ""


if __name__ == "__main__":
    sys.exit(main())
