"""Where one fault meets the service: a registry, services, load, and what is expected of them."""

from __future__ import annotations

import http.client
import json
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from tests.chaos.judge import Judge, Verdict
from tests.chaos.load import PACE_S, Load, Record, Summary, Target, percentile, running
from tests.chaos.table import Result
from tests.conftest import draft_of, fitted_logistic
from tests.e2e.conftest import Service

SLACK = 4.0
"""Times as long as on a machine of one's own may things take before the suite fails over it."""

SHOWN_FAILURES = 5


class CannotRunError(Exception):
    """What a fault is made with is missing on this machine."""


@dataclass
class Arena:
    """What one row of the table works with; `quick` asks for the shortest run that still means something."""

    folder: Path
    stack: ExitStack
    quick: bool = False
    schema: FeatureSchema = field(default_factory=FeatureSchema)
    records: list[Record] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    shortfalls: list[str] = field(default_factory=list)
    delays: list[str] = field(default_factory=list)
    recovery_s: float | None = None
    signing_key: bytes | None = None

    def __post_init__(self) -> None:
        self.judge = Judge(self.schema)
        self.models = self.folder / "models"
        self.flag = self.folder / "fault"
        self._services = 0

    # --- what a row is made of ------------------------------------------------------------------------------

    @property
    def registry(self) -> Registry:
        return Registry(self.models, self.schema, self.signing_key)

    def register(self, *, seed: int = 0, activate: bool = True, **estimators: Any) -> str:
        """A version of two linear models, or of others, which the judge knows."""
        own = {"primary": fitted_logistic(self.schema, seed), "fallback": fitted_logistic(self.schema, seed + 100)}
        version = self.registry.register(draft_of(self.schema, **own | estimators))
        self.judge.learn(version, own | estimators)
        if activate:
            self.registry.activate(version)
        return version

    def point_at(self, version: str) -> None:
        """What `activate` would refuse to do for a bad version: somebody else moves the pointer."""
        draft = self.models / ".chaos"
        draft.write_text(version + "\n")
        draft.replace(self.models / "ACTIVE")

    def service(
        self, *, start: bool = True, command: Sequence[str] | None = None, env: Mapping[str, str] | None = None,
        **settings: str,
    ) -> Service:  # fmt: skip
        """A service of two workers that follows, and tests itself, quickly."""
        self._services += 1
        quickly = {"WEB_CONCURRENCY": "2", "RELOAD_INTERVAL_S": "0.1", "SELF_TEST_INTERVAL_S": "1"}
        service = Service(
            self.folder / f"service-{self._services}", self.models, **quickly | settings | dict(env or {})
        )
        if command is not None:
            service.command = command
        self.stack.callback(service.kill)
        if start:
            service.start()
            self.seconds_until(lambda: len(ready_workers(service)) == int(service.env["WEB_CONCURRENCY"]))
        return service

    @contextmanager
    def load(self, target: Service | Target, pace_s: float = PACE_S) -> Iterator[Load]:
        """Load while the block runs; its records are the row's."""
        address: Target = (lambda: target.url) if isinstance(target, Service) else target
        load = Load(self.judge, address, pace_s=pace_s)
        try:
            with running(load):
                yield load
        finally:
            self.records += load.records

    def times(self, count: int) -> int:
        """How often to do something."""
        return max(2, count // 10) if self.quick else count

    def seconds_until(self, condition: Callable[[], object], within_s: float = 60.0) -> float:
        """Polls until the condition holds; fails where it does not."""
        start = time.monotonic()
        while not condition():
            if time.monotonic() - start > within_s:
                raise TimeoutError(f"not within {within_s:g} s: {condition.__doc__ or _source(condition)}")
            time.sleep(0.01)
        return time.monotonic() - start

    # --- what is expected -----------------------------------------------------------------------------------

    def expect(self, holds: object, what: str) -> None:
        """Notes a shortfall unless it holds."""
        if not holds:
            self.shortfalls.append(what)

    def within(self, seconds: float, limit_s: float, what: str) -> None:
        """Notes how long something took, and a shortfall where that is much longer than it should be."""
        text = f"{what} {_span(seconds)} (< {_span(limit_s)})"
        (self.notes if seconds <= limit_s * SLACK else self.delays).append(text)

    def recovered(self, seconds: float) -> None:
        """Notes a time to recover; the longest counts."""
        self.recovery_s = max(self.recovery_s or 0.0, seconds)

    def expect_no_failures(self, records: Sequence[Record] | None = None) -> None:
        """Every request of either pool was answered."""
        failed = [one for one in (self.records if records is None else records) if _failed(one)]
        self.expect(not failed, f"{len(failed)} requests failed: {failed[0].judgement.detail[:160]}" if failed else "")

    def expect_only_in_flight(self, moments: Sequence[float], slack_s: float = 0.1) -> None:
        """Without retry only what was under way at one of these moments failed, with retry nothing."""
        failed = [record for record in self.records if _failed(record)]
        others = [
            record for record in failed
            if record.retrying or not any(record.sent - slack_s <= at <= record.answered + slack_s for at in moments)
        ]  # fmt: skip
        self.expect(
            not others, f"{len(others)} failed that need not: {[one.judgement.detail[:120] for one in others[:2]]}"
        )

    def expect_stage(self, stage: str, records: Sequence[Record]) -> None:
        """All of these were answered by one stage."""
        stages = {record.judgement.stage or record.judgement.detail[:120] for record in records}
        self.expect(records and stages == {stage}, f"answered by {sorted(stages) or 'nobody'} instead of {stage}")

    def expect_audited(self, *services: Service) -> None:
        """Every acknowledged prediction stands in the audit."""
        audited = set().union(*(audited_ids(Path(service.env["AUDIT_DIR"])) for service in services))
        acknowledged = {one.judgement.prediction_id for one in self.records if one.judgement.prediction_id}
        missing = acknowledged - audited
        self.expect(not missing, f"{len(missing)} acknowledged predictions are missing in the audit")
        self.notes.append(
            f"{len(acknowledged) - len(missing):,} of {len(acknowledged):,} acknowledged are in the audit"
        )


class Row(NamedTuple):
    """One line of the table."""

    fault: str
    inject: Callable[[Arena], None]


ROWS: dict[str, Row] = {}


def row(name: str, fault: str) -> Callable[[Callable[[Arena], None]], Callable[[Arena], None]]:
    """Registers a fault under a short name."""

    def register(inject: Callable[[Arena], None]) -> Callable[[Arena], None]:
        ROWS[name] = Row(fault, inject)
        return inject

    return register


def run(name: str, *, quick: bool = False) -> Result:
    """Injects one fault; whatever goes wrong is in the result."""
    fault, inject = ROWS[name]
    started, skipped = time.monotonic(), None
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        arena = Arena(Path(folder), stack, quick)
        try:
            inject(arena)
        except CannotRunError as error:
            skipped = str(error)
        except Exception as error:  # noqa: BLE001 - a row that breaks is a row that falls short
            arena.shortfalls.append(f"{type(error).__name__}: {error}")
            traceback.print_exc()
    summary = Summary.of(arena.records)
    arena.expect(not summary.wrong, f"{summary.wrong} wrong answers")
    arena.expect(not summary.unlabelled, f"{summary.unlabelled} unlabelled degradations")
    seconds = time.monotonic() - started
    return Result(fault, summary, arena.recovery_s, arena.notes, arena.shortfalls, arena.delays, seconds, skipped)


def audited_ids(folder: Path) -> set[str]:
    """The predictions in all files of an audit; lines torn by a full disk or a kill are none."""
    found = set()
    for path in folder.glob("*.jsonl"):
        for line in path.read_bytes().splitlines():
            with suppress(ValueError):
                found.add(json.loads(line).get("prediction_id"))
    return found


def detailed(service: Service) -> Mapping[str, Any]:
    """What the service says of itself; nothing where nobody answers."""
    try:
        return dict(service.request("GET", "/health/detailed").json)
    except (OSError, http.client.HTTPException):
        return {"status": "silent", "causes": [], "workers": []}


def ready_workers(service: Service) -> set[int]:
    """The workers that say that they are ready."""
    return {worker["pid"] for worker in detailed(service)["workers"] if worker["ready"]}


class Probe:
    """Asks for a path again and again, each time on a connection of its own, as an orchestrator does."""

    def __init__(self, service: Service, path: str, interval_s: float = 0.05) -> None:
        self._service, self._path, self._interval_s = service, path, interval_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self.latencies_s: list[float] = []
        self.statuses: list[int] = []
        """0: no answer."""

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(30)

    @property
    def p99_s(self) -> float:
        return percentile(self.latencies_s, 0.99)

    def _ask(self) -> None:
        while not self._stopping.wait(self._interval_s):
            start = time.monotonic()
            try:
                status = self._service.request("GET", self._path).status
            except (OSError, http.client.HTTPException):
                status = 0
            self.statuses.append(status)
            self.latencies_s.append(time.monotonic() - start)


def _failed(record: Record) -> bool:
    return record.judgement.verdict is Verdict.FAILED


def _span(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _source(condition: Callable[[], object]) -> str:
    return f"{condition.__code__.co_filename.rpartition('/')[2]}:{condition.__code__.co_firstlineno}"
