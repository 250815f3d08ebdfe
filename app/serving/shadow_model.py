"""The shadow version's model: loaded, proven and retried as the active one is, but nothing depends on it."""

from __future__ import annotations

import time
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from app.contract.schema import Matrix
from app.errors import StageFailedError
from app.model.registry import Registry
from app.model.scorer import Scores
from app.model.stages import PRIMARY
from app.serving.chain import ChainBuilder
from app.serving.quarantine import Quarantine
from app.serving.reload import RETRY_S, ModelFollower
from app.serving.stage import Stage

_DEADLY = "workers died while it was loaded or scored: it is left alone until the service starts anew"


class ShadowModel:
    """The primary of `version`, while that is another version than the one `follower` serves.

    `builder` and `quarantine` must be its own: a proof of the shadow that hangs or kills is no reason not to try the
    active version again.
    """

    def __init__(
        self,
        version: str,
        registry: Registry,
        builder: ChainBuilder,
        follower: ModelFollower,
        quarantine: Quarantine,
        log: FilteringBoundLogger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.version = version
        self._registry = registry
        self._builder = builder
        self._follower = follower
        self._quarantine = quarantine
        self._log = log
        self._clock = clock
        self._retry_at = clock()
        self._loaded: Stage | None = None
        self.stage: Stage | None = None
        """What scores; None while it must not."""
        self.refused: str | None = None
        """Why it does not score."""

    @property
    def loaded(self) -> bool:
        return self._loaded is not None

    def look(self) -> None:
        """Looks once whether it may score; loads or tests it again where it is time to."""
        if self._follower.chain.version == self.version:
            self._release()
            self.refuse("it is the active version: there is nothing to compare", retry_s=0)
        elif self.stage is None and self._clock() >= self._retry_at and not self._builder.hanging:
            self._try(self._loaded)

    def scores(self, stage: Stage, rows: Matrix) -> Scores:
        """What `stage` gives; marked, so that a worker's death over it is known for what it was.

        Raises `StageFailedError`.
        """
        with self._quarantine.proving(self.version):
            return stage.score(rows)

    def refuse(self, reason: str, *, retry_s: float = RETRY_S) -> None:
        """Scores no more, and is tried again after `retry_s`."""
        self.stage = None
        self._retry_at = self._clock() + retry_s
        if reason != self.refused:
            self._log.warning("shadow.refused", version=self.version, reason=reason)
        self.refused = reason

    def _try(self, loaded: Stage | None) -> None:
        try:
            if not self._registry.holds(self.version):  # cheap to find out, so it scores soon after it was registered
                self.refuse(f"no version {self.version!r} in {self._registry.folder}", retry_s=0)
                return
            if self._quarantine.verdict(self.version, 0) is not None:
                self.refuse(_DEADLY)
                return
            with self._quarantine.proving(self.version):
                if loaded is None:
                    self._loaded = loaded = self._load()
                else:
                    loaded.self_test()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with its files, the service goes on
            self.refuse(str(error) or type(error).__name__)
        else:
            self.stage, self.refused = loaded, None

    def _load(self) -> Stage:
        chain = self._builder.build(self._registry.load(self.version))
        for stage in chain.stages:
            if stage.name == PRIMARY:
                self._log.info(
                    "shadow.loaded", version=self.version, uncompiled=stage.note, warnings=list(chain.warnings)
                )
                return stage
        raise StageFailedError(PRIMARY, "absent", chain.absent.get(PRIMARY, "the version has none"))

    def _release(self) -> None:
        if self._loaded is not None:
            self._loaded.caller.close()
        self._loaded = None
