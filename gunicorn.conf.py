"""gunicorn's configuration. Every value comes from the service's own settings: see the table in README.md."""

import contextlib
import gc
import itertools
import os
import shutil
import signal
import sys
import time
from types import SimpleNamespace
from typing import Any

# Before numpy, scikit-learn or treelite are imported: a prediction is too small to be worth a second thread, and
# OpenMP's threads would not survive gunicorn's fork.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

from gunicorn import arbiter  # noqa: E402

from app.errors import SettingsError  # noqa: E402
from app.settings import load_settings  # noqa: E402
from app.worker.head import MAX_HEAD_BYTES, MAX_HEADERS, MAX_REQUEST_LINE_BYTES  # noqa: E402

try:
    _settings = load_settings()
except SettingsError as error:
    sys.exit(str(error))

_settings.runtime_dir.parent.mkdir(parents=True, exist_ok=True)
os.environ["RUNTIME_DIR"] = str(_settings.runtime_dir)  # one for all workers, whoever loads the app

wsgi_app = "app:create_app()"
bind = f"{_settings.host}:{_settings.port}"
workers = _settings.web_concurrency
worker_class = "app.worker.InlineWorker"
preload_app = True
timeout = _settings.worker_timeout_s
graceful_timeout = _settings.graceful_timeout_s
keepalive = int(_settings.keep_alive_s)
worker_tmp_dir = str(_settings.runtime_dir.parent)
# Our own worker has the same limits; these are for gunicorn's.
limit_request_line = MAX_REQUEST_LINE_BYTES
limit_request_fields = MAX_HEADERS
limit_request_field_size = MAX_HEAD_BYTES
# Its control socket would be a thread in the master, which forks.
control_socket_disable = True

loglevel = _settings.log_level.lower()
logger_class = "app.telemetry.logs.GunicornLogger"
accesslog = "-" if _settings.access_log else None

# Its patience with leaving workers is counted by the wall clock, which may jump: an hour on, and all would be killed.
arbiter.time = SimpleNamespace(time=time.monotonic, monotonic=time.monotonic, sleep=time.sleep)


def _clear_shared() -> None:
    """Takes away what workers share by files in the scratch folder."""
    for folder in ("board", "metrics", "quarantine", "shadow"):
        shutil.rmtree(_settings.runtime_dir / folder, ignore_errors=True)


EARLY_S, LONGEST_PAUSE_S = 2.0, 10.0
_early_deaths: dict[int, int] = {}  # by slot, in a row


def on_starting(server):  # type: ignore[no-untyped-def]
    """Before anything else: what an earlier service posted, counted or held against a version is not this one's."""
    _clear_shared()


def pre_fork(server, worker):  # type: ignore[no-untyped-def]
    """Gives the worker the lowest free slot: whoever dies leaves its slot, and its counters, to its successor."""
    gc.freeze()  # else the collector of each worker would write to, and so copy, what they share
    taken = {other.slot for other in server.WORKERS.values()}
    worker.slot = next(slot for slot in itertools.count() if slot not in taken)
    deaths = _early_deaths.get(worker.slot, 0)
    worker.pause_s = min(LONGEST_PAUSE_S, 0.25 * 2**deaths) if deaths > 1 else 0.0  # one may be anybody's doing
    worker.start_s = time.monotonic() + worker.pause_s


def child_exit(server, worker):  # type: ignore[no-untyped-def]
    """Counts the deaths of a slot's workers that came right after their start."""
    early = time.monotonic() - worker.start_s < EARLY_S
    _early_deaths[worker.slot] = _early_deaths.get(worker.slot, 0) + 1 if early else 0


def post_fork(server, worker):  # type: ignore[no-untyped-def]
    """A worker whose predecessors died at once waits before it tries."""
    if worker.pause_s:
        _back_off(worker)


def _back_off(worker: Any) -> None:
    """Waits in the child, so that workers which die again and again take neither the machine nor the master."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)  # it still has the master's handlers, which only take notes
    components = worker.app.wsgi().extensions["anomaly"]
    components.log.error("worker.backoff", slot=worker.slot, pause_s=worker.pause_s)
    while time.monotonic() < worker.start_s:
        worker.notify()
        time.sleep(0.1)


def post_worker_init(worker):  # type: ignore[no-untyped-def]
    """After the fork, before the first request: prove the model, start this worker's threads.

    Gunicorn's own worker classes, too, refuse what is no HTTP in the service's envelope.
    """
    from gunicorn import util

    from app.worker.plain import problem_writer

    components = worker.wsgi.extensions["anomaly"]
    components.background.start(slot=str(worker.slot))
    util.write_error = problem_writer(components.tally.refused, components.log)


def worker_exit(server, worker):  # type: ignore[no-untyped-def]
    """The last thing a worker does."""
    app = getattr(worker, "wsgi", None)
    if app is not None:
        app.extensions["anomaly"].background.stop()


def on_exit(server):  # type: ignore[no-untyped-def]
    """The last thing the master does: take away what the service made, and nothing that was there before."""
    _clear_shared()
    with contextlib.suppress(OSError):
        _settings.runtime_dir.rmdir()
