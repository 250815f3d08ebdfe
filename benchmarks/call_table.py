"""`make profile`: where the time of one prediction goes, from the request's bytes to the reply's, in this process.

Prints CPU microseconds per request beside an empty Flask route, in alternating rounds without the profiler, and
leaves a call table (cProfile) in `benchmarks/profile.txt`. Without sockets, so that nothing but the service's own
work is seen.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import io
import json
import math
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # as a script
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.factory import EXTENSION, create_app
from app.settings import Settings
from app.worker.endpoint import Endpoint
from app.worker.overload import Overload
from app.worker.protocol import Connection
from benchmarks.empty_app import create_empty_app

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "benchmarks" / "profile.txt"
FUNCTIONS_SHOWN = 60


class _Transport:
    """Takes what a connection writes."""

    def __init__(self) -> None:
        self.last = b""

    def write(self, data: bytes) -> None:
        self.last = data

    def get_extra_info(self, _: str) -> tuple[str, int]:
        return ("127.0.0.1", 40_000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, profiles, and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--models", type=Path, default=ROOT / "models", help="registry to serve from")
    parser.add_argument("--shadow", help="version that scores beside the active one")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            models_dir=options.models, audit_dir=Path(folder, "audit"), runtime_dir=Path(folder, "run"),
            web_concurrency=1, self_test_interval_s=3600, reload_interval_s=3600,
            shadow_version=options.shadow,
        )  # fmt: skip
        app = create_app(settings)
        components = app.extensions[EXTENSION]
        null = open("/dev/null", "wb")  # noqa: SIM115, PTH123 - as long as the process
        components.sink._fd = null.fileno()
        components.background.start()
        _wait_for_shadow(components)
        predict, empty = _sender(app, components, settings), _sender(create_empty_app(), components, settings)
        count = options.requests
        rounds = [(_cpu_us(empty, count), _cpu_us(predict, count)) for _ in range(options.rounds)]
        table = _call_table(predict, count)
        components.background.stop()
    TABLE.write_text(table)
    empty_us, prediction_us = (statistics.median(times) for times in zip(*rounds, strict=True))
    ratio = statistics.median(b / a for a, b in rounds)
    print(f"empty route {empty_us:.1f} us, prediction {prediction_us:.1f} us, ratio {ratio:.2f}")
    print(f"call table in {TABLE.relative_to(ROOT)}")
    return 0


def _wait_for_shadow(components: Any) -> None:
    """Returns once the shadow, if there is one, takes readings."""
    shadow = components.background._shadow
    while shadow is not None and not shadow.state.loaded:
        if shadow.state.refused:
            raise RuntimeError(f"the shadow was refused: {shadow.state.refused}")
        time.sleep(0.05)


def _sender(app: Any, components: Any, settings: Settings) -> Callable[[], None]:
    """One request after the other over one connection, without a socket."""
    overload = Overload(math.inf, math.inf, components.log, components.tally.shed)  # no event loop beats here
    endpoint = Endpoint(
        app, components.log, settings.max_body_bytes, settings.request_timeout_s, settings.keep_alive_s,
        settings.max_connections, overload,
        refused=components.tally.refused, call_soon=lambda call: call(),
    )  # fmt: skip
    connection, transport = Connection(endpoint), _Transport()
    connection.connection_made(transport)  # type: ignore[arg-type]
    body = json.dumps(components.schema.example()).encode()
    request = (
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:5000\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )

    def send() -> None:
        connection.data_received(request)

    send()
    if not transport.last.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the request failed: {transport.last!r}")
    return send


def _cpu_us(send: Callable[[], None], count: int) -> float:
    gc.collect()
    start = time.thread_time()
    for _ in range(count):
        send()
    return (time.thread_time() - start) / count * 1e6


def _call_table(send: Callable[[], None], count: int) -> str:
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(count):
        send()
    profiler.disable()
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime").print_stats(FUNCTIONS_SHOWN)
    return text.getvalue()


if __name__ == "__main__":
    sys.exit(main())
