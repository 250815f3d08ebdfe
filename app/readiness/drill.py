"""A service that may be broken: over copies of the active version, one as it is and one that fails on demand."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from app.contract.schema import FeatureSchema
from app.errors import ReadinessError, ServiceError
from app.model.bundle import Bundle, BundleDraft
from app.model.registry import Registry
from app.readiness import breakable
from app.readiness.breakable import BreakableModel
from app.readiness.service import Service, eventually

FOLLOWED_WITHIN_S = 30.0
SELF_TEST_INTERVAL_S = 0.5

Start = Callable[[Mapping[str, str | None]], AbstractContextManager[Service]]
"""A service that runs with these settings (None: without), on top of its usual ones, until the block ends."""


class Drill:
    """Nothing it does touches the registry it copies from.

    Raises `ReadinessError`, and `BundleError` or `RegistryError` where there is no sound version to copy.
    """

    def __init__(
        self,
        start: Start,
        folder: Path,
        schema: FeatureSchema,
        source: Registry,
        *,
        rule: str,
        followed_within_s: float,
    ) -> None:
        self._start = start
        self._source = source
        self._rule = rule
        self.followed_within_s = followed_within_s
        self._stack = ExitStack()
        self._service: Service | None = None
        self._error: ServiceError | None = None
        self._flags = folder / "broken"
        self.registry = Registry(folder / "models", schema)
        self.sound = ""
        """The version whose estimators are the active one's."""
        self.breakable = ""
        """The version with the same estimators, each of which fails while it is `broken`."""

    @property
    def service(self) -> Service:
        """The running service."""
        assert self._service is not None, "it was not started"  # noqa: S101
        return self._service

    def start(self) -> Self:
        """Registers both versions and starts the service, the first time it is called; what fails then fails again."""
        if self._error is not None:
            raise self._error
        if self._service is None:
            try:
                self._service = self._started()
            except ServiceError as error:
                self._error = error
                raise
        return self

    def close(self) -> None:
        """Ends the service."""
        self._stack.close()

    def serve(self, version: str) -> None:
        """Activates `sound` or `breakable`, and waits until every worker serves it."""
        self.registry.activate(version)
        self.expect_healthy(version)

    def expect_healthy(self, version: str) -> None:
        """Waits until every worker is ready with `version`, and nothing is wrong. Raises `ReadinessError`."""
        if not eventually(lambda: self._healthy(version), self.followed_within_s):
            raise ReadinessError(f"the workers are not well after {self.followed_within_s:g} s: {self._cause()}")

    @contextmanager
    def broken(self, *stages: str) -> Iterator[None]:
        """The breakable version with these stages broken; all is well again when it ends."""
        self.serve(self.breakable)
        flags = [self._flags / stage for stage in stages]
        for flag in flags:
            flag.touch()
        try:
            yield
        finally:
            for flag in flags:
                flag.unlink()
        self.expect_healthy(self.breakable)

    def _started(self) -> Service:
        self._register()
        self._flags.mkdir(exist_ok=True)
        settings = {
            "MODELS_DIR": str(self.registry.folder),
            "MODEL_SIGNING_KEY": None,
            "MODEL_SIGNING_KEY_FILE": None,
            "SELF_TEST_INTERVAL_S": str(SELF_TEST_INTERVAL_S),
            "BASELINE_RULE": f"{breakable.__name__}:{breakable.breakable_rule.__name__}",
            breakable.RULE: self._rule,
            breakable.FOLDER: str(self._flags),
        }
        return self._stack.enter_context(self._start(settings))

    def _register(self) -> None:
        active = self._source.active()
        if active is None:
            raise ReadinessError("no version is active")
        self._source.verify(active)
        bundle = self._source.load(active)
        wrapped = {stage: BreakableModel(estimator, stage) for stage, estimator in bundle.estimators.items()}
        self.sound = self.registry.register(_draft(bundle, dict(bundle.estimators)))
        self.breakable = self.registry.register(_draft(bundle, wrapped))
        self.registry.activate(self.sound)

    def _healthy(self, version: str) -> bool:
        try:
            health = self.service.detailed()
        except (OSError, http.client.HTTPException):
            return False
        served = {worker["model_version"] for worker in health["workers"] if worker["ready"]}
        return health["status"] == "healthy" and served == {version}

    def _cause(self) -> str:
        health = self.service.get("/health").json
        return f"{health['status']}, {health['cause'] or health['model_version']}"


def _draft(bundle: Bundle, estimators: dict[str, Any]) -> BundleDraft:
    manifest = bundle.manifest
    return BundleDraft(
        estimators=estimators,
        thresholds={stage: entry.threshold for stage, entry in manifest.stages.items()},
        golden_rows=bundle.golden_rows,
        reference_rows=bundle.golden_rows,
        training=manifest.training,
    )
