"""Sends mixed traffic to a service and holds what it measures against service level objectives.

    python -m benchmarks.loadtest [--url URL] [--slo p99=50ms,success=99.9] [--users N] [--duration 30s] [OPTION ...]

Without `--url` it starts the service itself, two workers on a free port, and stops it. Further options go to locust.
Exit status 0 only if every objective is met.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from app.readiness.slo import EXAMPLE, Slo
from benchmarks.loadtest.arguments import duration_argument, slo_argument, users_argument
from benchmarks.loadtest.mixture import STOP_TIMEOUT_S
from benchmarks.own_service import Service, own_service
from benchmarks.processes import stop

ROOT = Path(__file__).resolve().parents[2]
LOCUSTFILE = Path(__file__).with_name("locustfile.py")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs locust; returns its exit status."""
    parser = argparse.ArgumentParser(prog="loadtest", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url", help="base URL of a running service; default: start one with two workers")
    parser.add_argument("--slo", type=slo_argument, default=EXAMPLE, help=f"objectives to keep (default: {EXAMPLE})")
    parser.add_argument("--users", type=users_argument, default=20, help="pipelines that send (default: 20)")
    parser.add_argument("--duration", type=duration_argument, default="30s", help="such as 30s or 1h30m (default: 30s)")
    options, further = parser.parse_known_args(arguments)
    # So that the service is stopped and the temporary files are removed, as with Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with nullcontext(Service(options.url.rstrip("/"))) if options.url else own_service(ROOT) as service:
            print(f"sends to {service.url}", flush=True)
            return _locust(service.url, options.slo, options.users, options.duration, further)
    except (OSError, RuntimeError) as error:
        sys.exit(f"{parser.prog}: {error}")
    except KeyboardInterrupt:  # before anything was sent
        return 130


def _locust(url: str, slo: Slo, users: int, duration: str, further: Sequence[str]) -> int:
    everybody = str(users + 1)  # the platform too
    command = [
        sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--headless", "--only-summary",
        "--host", url, "--users", everybody, "--spawn-rate", everybody, "--run-time", duration,
        "--stop-timeout", str(STOP_TIMEOUT_S), "--slo", str(slo), *further,
    ]  # fmt: skip
    # In a group of its own, of which nobody is left behind: it may have started processes itself.
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:  # what has been measured so far is judged all the same
            os.killpg(process.pid, signal.SIGINT)
            return process.wait()
        finally:
            stop(process)


if __name__ == "__main__":
    sys.exit(main())
