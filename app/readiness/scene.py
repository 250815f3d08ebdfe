"""What an audit looks at: the running service, the registry it serves from, and the checkout it was built from."""

from __future__ import annotations

from dataclasses import dataclass

from app.contract.schema import FeatureSchema
from app.errors import OutOfReachError, RegistryError
from app.model.manifest import Manifest
from app.model.registry import Registry
from app.readiness.checkout import Checkout
from app.readiness.drill import Drill
from app.readiness.service import Service
from app.readiness.slo import Slo
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that a check may ask; what only drills may do is `drill`, None where they were not asked for."""

    settings: Settings
    schema: FeatureSchema
    registry: Registry
    service: Service
    checkout: Checkout
    slo: Slo
    load_s: float
    drill: Drill | None

    @property
    def manifest(self) -> Manifest:
        """The active version's. Raises `RegistryError` or `BundleError`."""
        active = self.registry.active()
        if active is None:
            raise RegistryError(f"no version is active in {self.registry.folder}")
        return self.registry.manifest(active)

    def drilled(self) -> Drill:
        """The service that may be broken, running. Raises `OutOfReachError`."""
        if self.drill is None:
            raise OutOfReachError("breaks things, so only --drill tries it, on an instance of its own")
        return self.drill.start()
