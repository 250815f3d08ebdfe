"""Follows the registry's pointer: loads the version it names, proves it, then swaps it in between two requests."""

from __future__ import annotations

from structlog.typing import FilteringBoundLogger

from app.errors import BundleError, RegistryError
from app.model.bundle import Bundle
from app.model.registry import Registry
from app.serving.chain import PRIMARY, Chain, ChainBuilder


class ModelFollower:
    """Holds the chain that answers. Swapping is one assignment, so a request sees one version from start to end."""

    def __init__(self, registry: Registry, builder: ChainBuilder, log: FilteringBoundLogger) -> None:
        self._registry = registry
        self._builder = builder
        self._log = log
        self._loaded: Bundle | None = None
        self._load_refusal: BundleError | None = None
        self._pointer: str | None = None
        self.chain = Chain(None, ())
        """What answers; empty until `arm`."""
        self.refused: str | None = None
        """Why the version that the pointer names is not the one that answers."""

    def load(self) -> None:
        """Reads, verifies and unpickles the active version, and calls none of its estimators: safe before a fork."""
        self._pointer = self._registry.active()
        self._loaded, self._load_refusal = None, None
        if self._pointer is None:
            return
        try:
            self._loaded = self._registry.load(self._pointer)
        except (BundleError, RegistryError) as error:
            self._load_refusal = error if isinstance(error, BundleError) else BundleError(str(error))

    def arm(self) -> None:
        """Proves what was loaded and starts to serve it, with whatever stages are usable. After the last fork."""
        if self._registry.active() != self._pointer:  # another version became active since the master loaded
            self.load()
        self.chain = self._builder.build(self._loaded, self._load_refusal)
        self._loaded = None
        self._log_arrival(self.chain)

    def follow(self) -> None:
        """Looks at the pointer once; serves the version it names if that is whole, else keeps what it has."""
        pointer = self._registry.active()
        if pointer == self._pointer:
            return
        self._pointer = pointer
        if pointer is None or pointer == self.chain.version:
            self.refused = None if pointer else "no version is active any more; the last one keeps serving"
            return
        try:
            candidate = self._builder.build(self._registry.load(pointer))
            if candidate.absent:
                raise BundleError("; ".join(f"{name}: {why}" for name, why in candidate.absent.items()))
        except (BundleError, RegistryError) as error:
            self.refused = f"{pointer} was refused: {error}"
            self._log.error("bundle.refused", version=pointer, serving=self.chain.version, reason=str(error))
            return
        retired, self.chain, self.refused = self.chain, candidate, None
        retired.close()
        self._log_arrival(candidate)

    def _log_arrival(self, chain: Chain) -> None:
        for stage, reason in chain.absent.items():
            self._log.error("bundle.refused", version=self._pointer, stage=stage, reason=reason)
        if chain.version is not None:
            self._log.info(
                "bundle.loaded",
                version=chain.version,
                stages=[stage.name for stage in chain.stages],
                uncompiled={stage.name: stage.note for stage in chain.stages if stage.note},
                warnings=list(chain.warnings),
            )

    @property
    def model_loaded(self) -> bool:
        """Whether the primary model is in the chain."""
        return any(stage.name == PRIMARY for stage in self.chain.stages)
