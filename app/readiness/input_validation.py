"""Input validation: what breaks the contract is refused, with every problem named."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from app.readiness.evidence import Evidence, Item
from app.readiness.scene import Scene
from app.readiness.service import Reply, Service

SECTION = "Input Validation"

_NO_NUMBERS: tuple[Any, ...] = ("12", True, None, [1], {"value": 1})

_REFUSED: tuple[tuple[str, bytes, str, int], ...] = (
    ("an empty body", b"", "application/json", 400),
    ("a truncated body", b'{"metric_value": 1', "application/json", 400),
    ("a duplicate key", b'{"lag_1": 1, "lag_1": 2}', "application/json", 400),
    ("bytes that are no UTF-8", b'{"\xff": 1}', "application/json", 400),
    ("an array", b"[1, 2]", "application/json", 422),
    ("a form", b"metric_value=1", "application/x-www-form-urlencoded", 415),
)
"""What it is, body, media type, status."""


def schema(scene: Scene, found: Evidence) -> None:
    """One contract: in the code, in the model's manifest, in the service's own description, and in its answers."""
    names = scene.schema.names
    found.expect(
        tuple(scene.manifest.features) == names,
        f"the active version was trained on the contract's {len(names)} features",
        f"the active version was trained on {scene.manifest.features}, the contract is {list(names)}",
    )
    described = scene.service.get("/openapi.json").json["components"]["schemas"]["Reading"]
    ranges = {name: (entry.get("minimum"), entry.get("maximum")) for name, entry in described["properties"].items()}
    wanted = {feature.name: (feature.low, feature.high) for feature in scene.schema.features}
    found.expect(
        ranges == wanted, "/openapi.json describes the same features and ranges",
        f"/openapi.json describes {ranges}, the contract is {wanted}",
    )  # fmt: skip
    _expect_problems(found, "an empty reading", scene.service.post("/predict", {}), dict.fromkeys(names, "missing"))
    surplus = {**scene.schema.example(), "surplus": 1}
    _expect_problems(found, "a surplus feature", scene.service.post("/predict", surplus), {"surplus": "unexpected"})


def types(scene: Scene, found: Evidence) -> None:
    """Nothing but a number is taken for one."""
    for value in _NO_NUMBERS:
        reply = scene.service.post("/predict", dict.fromkeys(scene.schema.names, value))
        _expect_problems(found, f"{value!r} everywhere", reply, dict.fromkeys(scene.schema.names, "not_numeric"))


def ranges(scene: Scene, found: Evidence) -> None:
    """The edges belong to the range, the next number outside does not."""
    lows = {feature.name: float(feature.low) for feature in scene.schema.features}
    highs = {feature.name: float(feature.high) for feature in scene.schema.features}
    for what, reading in (("below", _moved(lows, -math.inf)), ("above", _moved(highs, math.inf))):
        reply = scene.service.post("/predict", reading)
        _expect_problems(found, f"the next number {what} every range", reply, dict.fromkeys(reading, "out_of_range"))
    for what, reading in (("lowest", lows), ("highest", highs)):
        status = scene.service.post("/predict", reading).status
        found.expect(status == 200, f"the {what} value of every range is taken", f"the {what} values got {status}")


def rejection(scene: Scene, found: Evidence) -> None:
    """What is no request is refused in the one envelope, and the next one is answered."""
    for what, body, media_type, status in _REFUSED:
        reply = scene.service.send("/predict", body, media_type)
        found.expect(
            reply.status == status and _enveloped(reply), f"{what}: {status}",
            f"{what}: {status} in the error envelope was expected, {_told(reply)} came",
        )  # fmt: skip
    _expect_next_is_answered(scene.service, scene.schema.example(), found)


ITEMS = (
    Item(SECTION, "Schema", schema),
    Item(SECTION, "Types", types),
    Item(SECTION, "Ranges", ranges),
    Item(SECTION, "Rejection", rejection),
)


def _expect_problems(found: Evidence, what: str, reply: Reply, wanted: Mapping[str, str]) -> None:
    """422 with just these problems, by feature."""
    if reply.status != 422 or not _enveloped(reply):
        found.lacking.append(f"{what}: 422 in the error envelope was expected, {_told(reply)} came")
        return
    named = {entry["feature"]: entry["code"] for entry in reply.json.get("errors", ())}
    differing = [
        f"{feature}: {named.get(feature, 'nothing')} instead of {wanted.get(feature, 'nothing')}"
        for feature in sorted(named.keys() | wanted.keys()) if named.get(feature) != wanted.get(feature)
    ]  # fmt: skip
    found.expect(
        not differing, f"{what}: 422, {len(wanted)} {'problem' if len(wanted) == 1 else 'problems'} at once",
        f"{what}: 422, but {'; '.join(differing)}",
    )  # fmt: skip


def _expect_next_is_answered(service: Service, reading: Mapping[str, float], found: Evidence) -> None:
    reply = service.post("/predict", reading)
    found.expect(
        reply.status == 200, "a valid reading is answered right after", f"a valid reading after it got {_told(reply)}"
    )


def _enveloped(reply: Reply) -> bool:
    document = reply.json
    return document["success"] is False and bool(document["error"]) and document["request_id"] == reply.request_id


def _told(reply: Reply) -> str:
    return f"{reply.status} {reply.body[:200].decode(errors='replace')}"


def _moved(values: Mapping[str, float], towards: float) -> dict[str, float]:
    return {name: math.nextafter(value, towards) for name, value in values.items()}
