"""Observability: what was asked and answered can be found again, counted and compared with training."""

from __future__ import annotations

import operator
from typing import Any

from app.errors import OutOfReachError
from app.readiness.evidence import Evidence, Item
from app.readiness.scene import Scene
from app.readiness.service import Service

SECTION = "Observability"

_RECORDED = ("prediction", "is_anomaly", "model_used", "model_version", "prediction_id", "latency_ms")


def prediction_logging(scene: Scene, found: Evidence) -> None:
    """A prediction is on disk as one JSON line, with what was asked, answered and how long it took."""
    reply = scene.service.post("/predict", scene.schema.example())
    line = _audited(scene.audited(), reply.request_id, found)
    told = {name: reply.json[name] for name in _RECORDED}
    found.expect(
        line and {name: line.get(name) for name in _RECORDED} == told and line["success"] is True,
        f"request {reply.request_id} is in the audit: success, features, {', '.join(_RECORDED)}, as it was answered",
        f"request {reply.request_id} was answered {told}, the audit has {line}",
    )


def latency_tracking(scene: Scene, found: Evidence) -> None:
    """How long it took is told with each answer and counted in a histogram."""
    before = scene.service.count("prediction_duration_seconds_count")
    took = scene.service.post("/predict", scene.schema.example()).json["latency_ms"]
    found.expect(
        isinstance(took, int | float) and took > 0, f"the answer says how long it took: {took} ms",
        f"the answer says that it took {took!r} ms",
    )  # fmt: skip
    found.expect(
        scene.service.settles(lambda: scene.service.count("prediction_duration_seconds_count") > before),
        f"prediction_duration_seconds counted it ({_buckets(scene.service)} buckets)",
        "prediction_duration_seconds did not count it",
    )


def error_tracking(scene: Scene, found: Evidence) -> None:
    """What was refused is counted by cause, and its line says why."""
    feature = scene.schema.features[0]

    def counted() -> list[float]:
        return [
            scene.service.count("prediction_requests_total", outcome="rejected"),
            scene.service.count("contract_violations_total", feature=feature.name, code="out_of_range"),
        ]

    before = counted()
    reply = scene.service.post("/predict", {**scene.schema.example(), feature.name: 2 * feature.high + 1})
    found.expect(
        scene.service.settles(lambda: all(map(operator.gt, counted(), before))),
        "a refused reading is counted, by outcome, feature and code", "a refused reading was not counted",
    )  # fmt: skip
    kinds = {"stage_failures", "http_refusals", "audit_errors", "log_lines_dropped", "requests_shed"}
    missing = kinds - scene.service.metrics().keys()
    found.expect(not missing, f"so are {', '.join(sorted(kinds))}", f"/metrics has no {', '.join(sorted(missing))}")
    line = _audited(scene.audited(), reply.request_id, found)
    problems = [{"feature": feature.name, "code": "out_of_range"}]
    found.expect(
        line and line["success"] is False and line.get("errors") == problems,
        "its audit line says why", f"the audit of the refused request {reply.request_id} has {line}",
    )  # fmt: skip


def feature_auditing(scene: Scene, found: Evidence) -> None:
    """What went into a prediction is kept, and compared with what the model was trained on."""
    reading, names = scene.schema.example(), scene.schema.names
    before = _by_feature(scene, "feature_rows_total")
    reply = scene.service.post("/predict", reading)
    found.expect(
        scene.service.settles(lambda: all(map(operator.gt, _by_feature(scene, "feature_rows_total"), before))),
        f"the values of all {len(names)} features are counted by bin", "not every feature's value was counted by bin",
    )  # fmt: skip
    known = zip(names, _by_feature(scene, "feature_reference_ratio"), strict=True)
    bare = [name for name, ratios in known if not ratios or name not in scene.manifest.reference]
    found.expect(
        not bare, "beside each stands its distribution in training", f"no distribution in training is known of {bare}"
    )
    hidden = {name.strip() for name in (scene.settings.redact_features or "").split(",") if name.strip()}
    line = _audited(scene.audited(), reply.request_id, found) or {}
    kept = {name: value for name, value in reading.items() if name not in hidden}
    secret = f"; {', '.join(sorted(hidden))} kept out on purpose" if hidden else ""
    found.expect(
        line.get("features") == kept, f"the audit has the values of {len(kept)} features as they were sent{secret}",
        f"the audit has {line.get('features')}, sent was {reading}",
    )  # fmt: skip


ITEMS = (
    Item(SECTION, "Prediction logging", prediction_logging),
    Item(SECTION, "Latency tracking", latency_tracking),
    Item(SECTION, "Error tracking", error_tracking),
    Item(SECTION, "Feature auditing", feature_auditing),
)


def _by_feature(scene: Scene, sample: str) -> list[float]:
    """The sum of a metric's samples of each feature."""
    counts = dict.fromkeys(scene.schema.names, 0.0)
    for family in scene.service.metrics().values():
        for found in family.samples:
            if found.name == sample and found.labels.get("feature") in counts:
                counts[found.labels["feature"]] += found.value
    return list(counts.values())


def _audited(service: Service, request_id: str, found: Evidence) -> dict[str, Any] | None:
    """The line of a request, once it is there."""
    if service.audit_dir is None:
        found.lacking.append("AUDIT_DIR is empty, so nothing is recorded")
        raise OutOfReachError("there is no audit to look into")
    service.settles(lambda: service.audit_line(request_id))
    return service.audit_line(request_id)


def _buckets(service: Service) -> int:
    samples = service.metrics()["prediction_duration_seconds"].samples
    return sum(sample.name.endswith("_bucket") for sample in samples)
