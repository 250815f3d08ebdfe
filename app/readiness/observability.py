"""Observability: what was asked and answered can be found again, counted and compared with training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from app.errors import OutOfReachError
from app.readiness.evidence import Evidence, Item
from app.readiness.scene import Scene

SECTION = "Observability"

_RECORDED = ("prediction", "is_anomaly", "model_used", "model_version", "prediction_id", "latency_ms")
_KINDS = {"stage_failures", "http_refusals", "audit_errors", "log_lines_dropped", "requests_shed"}

Measure = Callable[[], float]


def prediction_logging(scene: Scene, found: Evidence) -> None:
    """A prediction is on disk as one JSON line, with what was answered and how long it took."""
    at = time.time()
    reply = scene.service.post("/predict", scene.schema.example())
    line = _audited(scene, reply.request_id, at)
    told = {name: reply.json[name] for name in _RECORDED}
    found.expect(
        line and {name: line.get(name) for name in _RECORDED} == told and line["success"] is True,
        f"request {reply.request_id} is in the audit with success, {', '.join(_RECORDED)}, as it was answered",
        f"request {reply.request_id} was answered {told}, the audit has {line}",
    )


def latency_tracking(scene: Scene, found: Evidence) -> None:
    """How long it took is told with each answer and counted in a histogram."""
    name = "prediction_duration_seconds"
    counted = {f"{name} counts predictions": lambda: scene.service.count(f"{name}_count")}
    before = _measured(counted)
    took = scene.service.post("/predict", scene.schema.example()).json["latency_ms"]
    found.expect(
        isinstance(took, int | float) and took > 0, f"the answer says how long it took: {took} ms",
        f"the answer says that it took {took!r} ms",
    )  # fmt: skip
    _expect_growth(scene, found, counted, before)
    buckets = sum(sample.name.endswith("_bucket") for sample in scene.service.metrics()[name].samples)
    found.expect(buckets > 2, f"it has {buckets} buckets", f"{name} has {buckets} buckets, so no percentiles")


def error_tracking(scene: Scene, found: Evidence) -> None:
    """What was refused is counted by cause, and its line says why."""
    feature = scene.schema.features[0]
    problem = {"feature": feature.name, "code": "out_of_range"}
    counted: dict[str, Measure] = {
        "prediction_requests_total counts refused readings": lambda: scene.service.count(
            "prediction_requests_total", outcome="rejected"
        ),
        "contract_violations_total counts them by feature and code": lambda: scene.service.count(
            "contract_violations_total", **problem
        ),
    }
    before, at = _measured(counted), time.time()
    beyond = math.nextafter(feature.high, math.inf)
    reply = scene.service.post("/predict", {**scene.schema.example(), feature.name: beyond})
    _expect_growth(scene, found, counted, before)
    missing = _KINDS - scene.service.metrics().keys()
    found.expect(
        not missing, f"counted are also {', '.join(sorted(_KINDS))}", f"/metrics has no {', '.join(sorted(missing))}"
    )
    line = _audited(scene, reply.request_id, at)
    found.expect(
        line and line["success"] is False and line.get("errors") == [problem],
        "the audit line of a refused reading says why",
        f"the audit of the refused request {reply.request_id} has {line}",
    )


def feature_auditing(scene: Scene, found: Evidence) -> None:
    """What went into a prediction is kept, and compared with what the model was trained on."""
    reading, names = scene.schema.example(), scene.schema.names
    rows = "the values of every feature are counted by bin"
    counted = {rows: lambda: min(_by_feature(scene, "feature_rows_total"))}
    before, at = _measured(counted), time.time()
    reply = scene.service.post("/predict", reading)
    _expect_growth(scene, found, counted, before)
    known = zip(names, _by_feature(scene, "feature_reference_ratio"), strict=True)
    bare = [name for name, ratios in known if not ratios or name not in scene.manifest.reference]
    found.expect(
        not bare, "beside each stands its distribution in training", f"no distribution in training is known of {bare}"
    )
    hidden = {name.strip() for name in (scene.settings.redact_features or "").split(",") if name.strip()}
    line = _audited(scene, reply.request_id, at) or {}
    kept = {name: value for name, value in reading.items() if name not in hidden}
    secret = f"; {', '.join(sorted(hidden))} kept out on purpose" if hidden else ""
    found.expect(
        kept and line.get("features") == kept,
        f"the audit has the values of {len(kept)} features as they were sent{secret}",
        f"the audit has {line.get('features')}, sent was {reading}{secret}",
    )


ITEMS = (
    Item(SECTION, "Prediction logging", prediction_logging),
    Item(SECTION, "Latency tracking", latency_tracking),
    Item(SECTION, "Error tracking", error_tracking),
    Item(SECTION, "Feature auditing", feature_auditing),
)


def _measured(counted: dict[str, Measure]) -> dict[str, float]:
    return {what: measure() for what, measure in counted.items()}


def _expect_growth(scene: Scene, found: Evidence, counted: dict[str, Measure], before: dict[str, float]) -> None:
    """Each count has grown since; one that is smaller than before was another replica's."""
    for what, measure in counted.items():
        if scene.service.settles(lambda measure=measure, what=what: measure() > before[what]):  # type: ignore[misc]
            found.seen.append(what)
        elif measure() < before[what]:
            found.unchecked.append(f"more than one replica answers at {scene.service.name}, each with its own counts")
        else:
            found.lacking.append(f"it is not so that {what}: it did not grow with a request")


def _by_feature(scene: Scene, sample: str) -> list[float]:
    """The sum of a metric's samples of each feature."""
    counts = dict.fromkeys(scene.schema.names, 0.0)
    for family in scene.service.metrics().values():
        for found in family.samples:
            if found.name == sample and found.labels.get("feature") in counts:
                counts[found.labels["feature"]] += found.value
    return list(counts.values())


def _audited(scene: Scene, request_id: str, sent: float) -> dict[str, Any] | None:
    """The line of a request sent at that Unix time, once it is there. Raises `OutOfReachError`."""
    service, folder = scene.service, scene.service.audit_dir
    if folder is None:
        return None
    if folder.is_dir():
        since = sent - 1  # a disk's clock may be coarse
        line = service.settles(lambda: service.audit_line(request_id, since))
        if line is not None or service.own or service.audited_since(since):
            return line
    raise OutOfReachError(f"{folder} is not the audit of {service.name}; run this where its AUDIT_DIR is")
