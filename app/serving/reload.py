"""Follows the registry's pointer: loads the version it names, proves it, then swaps it in between two requests."""

from __future__ import annotations

import time
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from app.errors import BundleError, RegistryError
from app.model.bundle import Bundle
from app.model.registry import Registry
from app.model.stages import PRIMARY
from app.serving.chain import Chain, ChainBuilder
from app.serving.quarantine import Quarantine

RETRY_S = 60.0
"""A version that could not be served whole is tried again this often: a model may stop hanging, a volume come back."""


class ModelFollower:
    """Holds the chain that answers. Swapping is one assignment, so a request sees one version from start to end."""

    def __init__(
        self,
        registry: Registry,
        builder: ChainBuilder,
        quarantine: Quarantine,
        log: FilteringBoundLogger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._builder = builder
        self._quarantine = quarantine
        self._log = log
        self._clock = clock
        self._loaded: Bundle | None = None
        self._stamp = 0
        self._retry_at = 0.0
        self.chain = Chain(None, ())
        """What answers; empty until `arm`."""
        self.refused: str | None = None
        """Why the version that the pointer names is not the one that answers."""

    def load(self) -> None:
        """Reads, verifies and unpickles the active version, and calls none of its estimators: safe before a fork.

        Whatever is wrong with it is found again, and told, by `arm`.
        """
        self._stamp = self._registry.pointer_stamp()
        try:
            self._loaded = self._active_bundle()
        except (BundleError, RegistryError):
            self._loaded = None

    def arm(self) -> None:
        """Starts to serve, after the last fork: the active version, with whatever of its stages is usable.

        Where another version became active since `load`, and cannot be served whole, the loaded one serves on: a
        worker that is replaced must not bring less than those beside it.
        """
        stamp = self._registry.pointer_stamp()
        loaded, self._loaded = self._loaded, None
        if loaded is not None and stamp == self._stamp:
            self._serve(self._proven(loaded.version, lambda: loaded)[0])
        else:
            self._stamp = stamp
            chain, refusal = self._built()
            if loaded is not None and (chain.version is None or chain.absent):
                self._refuse(refusal or _reasons(chain), loaded.version)
                chain, _ = self._proven(loaded.version, lambda: loaded)
            self._serve(chain)
        self._retry_at = self._clock() + RETRY_S

    def follow(self) -> None:
        """Looks at the pointer once; serves the version it names if that is whole, else keeps what it has."""
        stamp = self._registry.pointer_stamp()
        if stamp == self._stamp and not self._is_time_to_retry():
            return
        self._stamp, self._retry_at = stamp, self._clock() + RETRY_S
        try:
            if self._registry.active() == self.chain.version and not self.chain.absent:
                self.refused = None
                return
        except RegistryError as error:
            self._refuse(str(error), self.chain.version)
            return
        chain, refusal = self._built()
        if refusal is not None:
            self._refuse(refusal, self.chain.version)
        elif chain.version == self.chain.version:
            self.refused = None
            if set(chain.absent) < set(self.chain.absent):
                self._swap(chain)
        elif chain.absent:
            self._refuse(_reasons(chain), self.chain.version)
        else:
            self.refused = None
            self._swap(chain)

    def _is_time_to_retry(self) -> bool:
        wanting = bool(self.chain.absent) or self.refused is not None
        return wanting and self._clock() >= self._retry_at and not self._builder.hanging

    @property
    def model_loaded(self) -> bool:
        """Whether the primary model is in the chain."""
        return any(stage.name == PRIMARY for stage in self.chain.stages)

    def _active_bundle(self) -> Bundle | None:
        version = self._registry.active()
        return None if version is None else self._registry.load(version)

    def _built(self) -> tuple[Chain, str | None]:
        """The chain of the active version; where that is the rule alone, why."""
        try:
            version = self._registry.active()
            if version is None:
                return self._builder.build(None), "no active model version"
            return self._proven(version, lambda: self._registry.load(version))
        except (BundleError, RegistryError) as error:
            return self._builder.build(None, str(error)), str(error)

    def _proven(self, version: str, load: Callable[[], Bundle]) -> tuple[Chain, str | None]:
        """The chain of a version unless it is known to kill whoever tries it; where that is the rule alone, why."""
        verdict = self._quarantine.verdict(version, self._stamp)
        if verdict is not None:
            return self._builder.build(None, verdict), verdict
        with self._quarantine.proving(version):
            return self._builder.build(load()), None

    def _swap(self, chain: Chain) -> None:
        retired = self.chain
        self._serve(chain)
        retired.close()

    def _serve(self, chain: Chain) -> None:
        self.chain = chain
        for stage, reason in chain.absent.items():
            self._log.error("bundle.refused", version=chain.version, stage=stage, reason=reason)
        if chain.version is not None:
            self._log.info(
                "bundle.loaded",
                version=chain.version,
                stages=[stage.name for stage in chain.stages],
                uncompiled={stage.name: stage.note for stage in chain.stages if stage.note},
                warnings=list(chain.warnings),
            )

    def _refuse(self, reason: str, serving: str | None) -> None:
        refused = f"the active version was refused, {serving or 'the rule'} serves on: {reason}"
        if refused != self.refused:
            self._log.error("bundle.refused", serving=serving, reason=reason)
        self.refused = refused


def _reasons(chain: Chain) -> str:
    return f"{chain.version}: " + "; ".join(f"{name}: {why}" for name, why in chain.absent.items())
