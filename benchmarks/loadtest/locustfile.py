"""The users of the load test, for locust: monitoring pipelines, and the platform the service runs on.

    locust --locustfile benchmarks/loadtest/locustfile.py --host URL --slo p99=50ms,success=99.9

`python -m benchmarks.loadtest` starts it. `API_KEY` in the environment is sent with every request, `MODEL_NAME` is
asked for under `/v2`. Importing locust replaces the standard library's sockets and threads: nothing imports this file.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import sys
from collections import deque
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser, constant_pacing, events, poisson, task
from locust.env import Environment
from locust.runners import WorkerRunner

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # locust knows this folder and the one it was started in

from app.readiness.slo import Slo, Verdict  # noqa: E402
from benchmarks.loadtest import exchanges, mixture, replies  # noqa: E402
from benchmarks.loadtest.arguments import slo_argument  # noqa: E402
from benchmarks.loadtest.exchanges import Exchange  # noqa: E402
from benchmarks.loadtest.measured import Measured, result  # noqa: E402
from benchmarks.loadtest.metrics import metrics  # noqa: E402

METRICS = metrics(mixture.SEED)
numbers = itertools.count()


class Client(FastHttpUser):
    """Sends requests and judges the replies."""

    abstract = True
    insecure = False
    network_timeout = mixture.TIMEOUT_S
    connection_timeout = mixture.TIMEOUT_S
    default_headers = {"Authorization": f"Bearer {os.environ['API_KEY']}"} if os.environ.get("API_KEY") else None

    def send(self, exchange: Exchange) -> bytes | None:
        """The reply's body, None where it was wrong."""
        method = "GET" if exchange.body is None else "POST"
        headers = {} if exchange.body is None else {"Content-Type": "application/json"}
        body: Any = exchange.body  # bytes go as they are, though the client's signature knows text only
        with self.client.request(
            method, exchange.path, exchange.kind, body, catch_response=True, headers=headers
        ) as reply:
            if not reply.status_code:
                reply.failure(f"no reply: {reply.error}")
                return None
            answer = bytes(reply.content or b"")
            if problem := exchange.check(reply.status_code, answer):
                reply.failure(problem)
                return None
            reply.success()  # also where 422 is the right answer
            return answer


class Pipeline(Client):
    """Reads one metric, hour after hour, and asks about each reading."""

    wait_time = poisson(mixture.PIPELINE_RATE)

    def on_start(self) -> None:
        number = next(numbers)
        self._rng = random.Random(number)  # noqa: S311 - the same readings in every run; no secrets
        self._metric = METRICS[number % len(METRICS)]
        self._hour = self._rng.randrange(len(self._metric.rows))
        self._answered: deque[tuple[str, int]] = deque(maxlen=100)
        self._model_name = os.environ.get("MODEL_NAME") or "anomaly"

    @task(mixture.SHARES["predict"])
    def predict(self) -> None:
        """The next reading."""
        body = self.send(exchanges.predict(self._rows(1)[0]))
        if body is not None:
            self._answered.append((replies.prediction_id(body), self._metric.actual(self._hour)))

    @task(mixture.SHARES["infer"])
    def infer(self) -> None:
        """The next reading, by the Open Inference Protocol."""
        self.send(exchanges.infer(self._rows(1), self._model_name))

    @task(mixture.SHARES["batch"])
    def catch_up(self) -> None:
        """The readings of an outage, at once."""
        (hours,) = self._rng.choices(list(mixture.CAUGHT_UP_HOURS), list(mixture.CAUGHT_UP_HOURS.values()))
        self.send(exchanges.predict_batch(self._rows(hours)))

    @task(mixture.SHARES["feedback"])
    def feedback(self) -> None:
        """What an earlier reading really was; where none was answered yet, the next reading."""
        if not self._answered:
            self.predict()
            return
        self.send(exchanges.feedback(*self._answered.popleft()))

    @task(mixture.SHARES["bad"])
    def send_bad(self) -> None:
        """A reading with a mistake in it."""
        self.send(exchanges.predict_bad(self._rows(1)[0], self._rng))

    def _rows(self, count: int) -> exchanges.Rows:
        """The next so many readings."""
        rows = self._metric.hours(self._hour + 1, count)
        self._hour += count
        return rows


class Platform(Client):
    """Kubernetes and Prometheus: one of each, however many pipelines there are."""

    fixed_count = 1
    wait_time = constant_pacing(1)

    def on_start(self) -> None:
        self._second = 0

    @task
    def look(self) -> None:
        """What is due in this second."""
        for exchange, every_s in mixture.PROBES_EVERY_S.items():
            if self._second % every_s == 0:
                self.send(exchange)
        self._second += 1


# --- service level objectives -------------------------------------------------------------------------------


def add_slo(parser: argparse.ArgumentParser) -> None:
    """`--slo`; without it locust's own rule decides the exit status: 1 where any request failed."""
    parser.add_argument(
        "--slo", type=lambda text: str(slo_argument(text)),  # a text goes to other load-generating processes too
        metavar="OBJECTIVES",
        help="objectives to keep, such as p99=50ms,success=99.9; exit status 1 where one is not met",
    )  # fmt: skip


def measure(environment: Environment, **_: Any) -> None:
    """Measures from here on, in any number of processes, and judges where they are one again."""
    # Making the metrics has kept the event loop waiting; its clock, by which the run ends, would start that much ago.
    gevent.get_hub().loop.update_now()
    measured = Measured()

    def note(name: str, response_time: float, exception: Exception | None, **_: Any) -> None:
        measured.add(response_time / 1000, right=exception is None, is_prediction=name in exchanges.PREDICTIONS)

    environment.events.request.add_listener(note)
    if isinstance(environment.runner, WorkerRunner):
        environment.events.report_to_master.add_listener(lambda data, **_: data.update(measured=measured.take()))
        return
    environment.events.worker_report.add_listener(lambda data, **_: measured.add_part(data["measured"]))
    if environment.parsed_options and environment.parsed_options.slo is not None:
        judge_at_the_end(environment, Slo.parse(environment.parsed_options.slo), measured)


def judge_at_the_end(environment: Environment, slo: Slo, measured: Measured) -> None:
    """The exit status is the objectives', and their table stands behind locust's own."""
    verdicts: list[Verdict] = []

    def judge(**_: Any) -> None:
        verdicts.extend(slo.judge(measured.percentile, measured.success))
        if not all(verdict.met for verdict in verdicts):
            environment.process_exit_code = 1
        elif environment.runner and not environment.runner.exceptions:
            environment.process_exit_code = 0  # single failures, within what `success` allows

    environment.events.quitting.add_listener(judge)
    environment.events.quit.add_listener(lambda **_: print(result(measured, verdicts), flush=True))


events.init_command_line_parser.add_listener(add_slo)
events.init.add_listener(measure)
