"""The audit: every item of the checklist, in order."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from app.contract.schema import FeatureSchema
from app.errors import ReadinessError
from app.model.registry import Registry
from app.readiness import input_validation, observability, operational, reliability, reproducibility
from app.readiness.checkout import Checkout
from app.readiness.drill import FOLLOWED_WITHIN_S, Drill
from app.readiness.evidence import Item, judge
from app.readiness.instance import Instance
from app.readiness.results import Finding, Readiness, score_of, verdict_of
from app.readiness.scene import Scene
from app.readiness.service import HttpService, Service
from app.readiness.slo import EXAMPLE, Slo
from app.settings import Settings

CHECKLIST: tuple[Item, ...] = (
    *input_validation.ITEMS, *reproducibility.ITEMS, *observability.ITEMS, *reliability.ITEMS, *operational.ITEMS,
)  # fmt: skip

LOAD_S = 5.0


@dataclass(frozen=True, slots=True)
class Request:
    """Whom to look at: the service at `url`, or else an instance of its own; `drill` breaks a further one."""

    checkout: Path
    url: str | None = None
    api_key: str | None = None
    drill: bool = False
    slo: Slo = field(default_factory=lambda: Slo.parse(EXAMPLE))
    load_s: float = LOAD_S


class ReadinessAudit:
    """Checks a service, the registry it serves from, and the checkout it was built from.

    `settings` are those of the service that is audited: whoever runs this gives it the same environment.
    """

    def __init__(self, settings: Settings, schema: FeatureSchema, registry: Registry) -> None:
        self._settings = settings
        self._schema = schema
        self._registry = registry

    def run(self, request: Request, told: Callable[[Finding], None] = lambda finding: None) -> Readiness:
        """All findings; each is `told` as soon as it is known. Raises `ReadinessError`."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="readiness-")))
            service = self._service(request, folder, stack)
            scene = Scene(
                self._settings, self._schema, self._registry, service, Checkout(request.checkout), request.slo,
                request.load_s, self._drill(request, folder, stack),
            )  # fmt: skip
            findings = []
            for item in CHECKLIST:
                findings.append(judge(item, scene))
                told(findings[-1])
        score = score_of(findings)
        at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        subject = service.name if request.url else f"an instance started in {request.checkout}"
        return Readiness(subject, at, request.drill, score, verdict_of(score), findings)

    def _service(self, request: Request, folder: Path, stack: ExitStack) -> Service:
        if request.url is not None:
            return _answering(HttpService(request.url, self._settings.audit_dir, request.api_key))
        settings: dict[str, str | None] = {"MODELS_DIR": str(self._registry.folder.absolute())}
        if self._settings.audit_dir is None:
            settings["AUDIT_DIR"] = ""
        return stack.enter_context(Instance(request.checkout, _made(folder / "service"), settings))

    def _drill(self, request: Request, folder: Path, stack: ExitStack) -> Drill | None:
        if not request.drill:
            return None
        own = _made(folder / "drill")
        drill = Drill(
            partial(Instance, request.checkout, own), own, self._schema, self._registry,
            rule=self._settings.baseline_rule, followed_within_s=FOLLOWED_WITHIN_S,
        )  # fmt: skip
        stack.callback(drill.close)
        return drill


def _answering(service: Service) -> Service:
    """The service, once it has answered as one of ours does. Raises `ReadinessError`: else each item would say so."""
    try:
        service.detailed()
    except (OSError, http.client.HTTPException) as error:
        raise ReadinessError(f"{service.name} does not answer: {error}") from error
    return service


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
