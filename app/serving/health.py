"""What the service knows about itself, by trying: every stage is tested in the background, in every worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from structlog.typing import FilteringBoundLogger

from app.errors import StageFailedError
from app.model.stages import BASELINE
from app.serving.board import Pulse, WorkerBoard, WorkerReport
from app.serving.failures import FailureBook
from app.serving.reload import ModelFollower
from app.serving.shadow import Shadow
from app.telemetry.audit import PredictionLogger
from app.telemetry.logs import LogSink, now, render
from app.telemetry.tally import Tally

HEALTHY, DEGRADED, UNHEALTHY = "healthy", "degraded", "unhealthy"


@dataclass(frozen=True, slots=True)
class Health:
    """The service as one: all its workers together."""

    status: str
    causes: tuple[str, ...]
    model_loaded: bool
    pulse: Pulse
    workers: tuple[tuple[WorkerReport, Pulse], ...]


class HealthCheck:
    """Tests this worker's stages, posts what it finds on the board, and reads the board for all workers."""

    def __init__(
        self,
        follower: ModelFollower,
        audit: PredictionLogger,
        board: WorkerBoard,
        sink: LogSink,
        log: FilteringBoundLogger,
        tally: Tally,
        *,
        audit_required: bool,
        stale_after_s: float,
        shadow: Shadow | None = None,
        clock: Callable[[], float] = time.time,
        steady_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._follower = follower
        self._audit = audit
        self._board = board
        self._sink = sink
        self._log = log
        self._tally = tally
        self._audit_required = audit_required
        self._stale_after_s = stale_after_s
        self._shadow = shadow
        self._clock = clock
        self._steady_clock = steady_clock
        self.service_started = clock()
        """Unix time; before the fork, so that all workers say the same."""
        self._started: float | None = None
        self._status: str | None = None
        self._self_test_last_success: float | None = None
        self._tested_steady: float | None = None
        self._audit_problem: str | None = None
        self._posting = threading.Lock()
        self.draining = False
        self.audit_errors = 0
        self.failures = FailureBook(clock)

    # --- this worker ----------------------------------------------------------------------------------------

    def self_test(self) -> None:
        """Asks every stage, through the same way a request takes, and the audit; then posts the result."""
        self._started = self._started or self._clock()
        passed = 0
        for stage in self._follower.chain.stages:
            was_open = stage.breaker_open
            try:
                stage.self_test()
                passed += 1
            except StageFailedError as failure:
                self.stage_failed(failure, opened=stage.breaker_open and not was_open)
            else:
                if was_open:
                    self._log.info("breaker.closed", stage=stage.name)
        if passed:
            self._self_test_last_success, self._tested_steady = self._clock(), self._steady_clock()
        self._test_audit()
        self.post()

    def _test_audit(self) -> None:
        """Only a line that was really written ends an audit problem: a full disk still opens files."""
        try:
            self._audit.check()
            if self._audit_problem is not None:
                self._audit.append([render({"timestamp": now(), "event": "audit.recovered", "pid": self._board.pid})])
                self.audit_written()
        except OSError as error:
            self.audit_failed(error)

    def stage_failed(self, failure: StageFailedError, *, opened: bool, request_id: str | None = None) -> None:
        """Writes down that a stage gave no answer, and that its breaker opened over it."""
        if failure.reason == "breaker_open":
            return
        self.failures.note(str(failure), request_id)
        self._tally.stage_failed(failure.stage, failure.reason)
        self._log.warning("stage.failed", stage=failure.stage, reason=failure.reason, detail=failure.detail)
        if opened:
            self._log.error("breaker.opened", stage=failure.stage, reason=failure.reason, detail=failure.detail)
            self.post()

    def audit_failed(self, error: OSError, request_id: str | None = None) -> None:
        """Writes down that the audit could not be written."""
        reason = error.strerror or str(error)
        problem = f"AUDIT_DIR: {self._audit.folder} cannot be written: {reason}; mount a volume, free space or unset it"
        news = self._audit_problem is None
        self._audit_problem = problem
        self.audit_errors += 1
        self._tally.audit_failed()
        self.failures.note(problem, request_id)
        if news:
            self._log.error("audit.failed", error=problem)
            self.post()

    def audit_written(self) -> None:
        """Notes that the audit takes lines again, if it did not."""
        if self._audit_problem is not None:
            self._audit_problem = None
            self._log.info("audit.recovered")
            self.post()

    def drain(self) -> None:
        """From now on not ready: a balancer should look elsewhere."""
        self.draining = True
        self.post()

    def post(self) -> None:
        """Puts this worker's report on the board and logs a change of status."""
        with self._posting:  # the background and a request may both have news
            report = self._report()
            try:
                self._board.post(report)
            except OSError as error:  # only the other workers miss it
                self.failures.note(f"RUNTIME_DIR: the worker board cannot be written: {error.strerror or error}")
            if report.status != self._status:
                self._log.warning("health.changed", status=report.status, before=self._status, causes=report.causes)
                self._status = report.status

    @property
    def ready(self) -> bool:
        """Whether this worker serves a proven model, was tested lately, can answer, and is not about to leave.

        Without any model it answers by the rule, but is not ready: a rollout of a bad version must stop here.
        """
        tested = self._tested_steady
        lately = tested is not None and self._steady_clock() - tested <= self._stale_after_s
        proven = len(self._follower.chain.stages) > 1
        return lately and proven and not self.draining and self._judge()[0] != UNHEALTHY

    def _judge(self) -> tuple[str, list[str]]:
        chain = self._follower.chain
        states = {stage.name: stage.state for stage in chain.stages}
        causes = [f"{name} is not available: {reason}" for name, reason in chain.absent.items()]
        causes += [f"{name} is not answering: {state.reason}" for name, state in states.items() if not state.answering]
        if self._follower.refused:
            causes.append(self._follower.refused)
        if self._audit_problem:
            causes.append(self._audit_problem)
        blocked = self._audit_required and self._audit_problem is not None
        if blocked or not any(state.answering for state in states.values()):
            return UNHEALTHY, causes
        return (DEGRADED if causes else HEALTHY), causes

    def _report(self) -> WorkerReport:
        chain = self._follower.chain
        status, causes = self._judge()
        return WorkerReport(
            pid=self._board.pid,
            started=self._started or self._clock(),
            reported=self._clock(),
            reported_steady=self._steady_clock(),
            status=status,
            causes=causes,
            ready=self.ready,
            draining=self.draining,
            model_version=chain.version,
            model_loaded=self._follower.model_loaded,
            stages={stage.name: stage.state for stage in chain.stages},
            absent=dict(chain.absent),
            scorers={stage.name: stage.scorer_name for stage in chain.stages if stage.name != BASELINE},
            warnings=list(chain.warnings),
            self_test_last_success=self._self_test_last_success,
            audit_errors=self.audit_errors,
            log_lines_dropped=self._sink.dropped,
            failures=self.failures.entries(),
            traffic=self._tally.report(),
            shadow=self._shadow.state if self._shadow is not None else None,
        )

    # --- all workers ----------------------------------------------------------------------------------------

    def health(self) -> Health:
        """The service's state: healthy where every worker is, unhealthy where none can answer."""
        places = tuple(self._board.reports())
        reports = [report for report, _ in places]
        causes = dict.fromkeys(cause for report in reports for cause in report.causes)
        for report in reports:
            silent_s = self._steady_clock() - report.reported_steady
            if silent_s > self._stale_after_s:
                causes[f"worker {report.pid} has not reported for {silent_s:.0f} s"] = None
        versions = {report.model_version for report in reports}
        if len(versions) > 1:
            causes["workers serve different versions: " + ", ".join(sorted(map(str, versions)))] = None
        if not reports or all(report.status == UNHEALTHY for report in reports):
            status = UNHEALTHY
        else:
            status = DEGRADED if causes else HEALTHY
        return Health(
            status=status,
            causes=tuple(causes) or (() if reports else ("no worker has reported yet",)),
            model_loaded=bool(reports) and all(report.model_loaded for report in reports),
            pulse=_latest([pulse for _, pulse in places]),
            workers=places,
        )


def _latest(pulses: Sequence[Pulse]) -> Pulse:
    """The newest prediction of all workers, with the longest run of failures of any."""
    newest = max(pulses, key=lambda pulse: pulse.last_prediction_time or 0, default=Pulse(None, 0, None))
    failures = max((pulse.consecutive_failures for pulse in pulses), default=0)
    return Pulse(newest.last_prediction_time, failures, newest.last_success)
