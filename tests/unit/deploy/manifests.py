"""The manifests as the tests of them see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deploy.kustomize import build

ROOT = Path(__file__).parents[3]
KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("baked", "volume")
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def objects(folder: str) -> list[dict[str, Any]]:
    return build(KUBERNETES / folder)


def one(folder: str, kind: str) -> dict[str, Any]:
    """The only object of its kind."""
    (found,) = (item for item in objects(folder) if item["kind"] == kind)
    return found


def pod_of(overlay: str) -> dict[str, Any]:
    spec: dict[str, Any] = one(f"overlays/{overlay}", "Deployment")["spec"]["template"]["spec"]
    return spec


def predictor() -> dict[str, Any]:
    spec: dict[str, Any] = one("kserve", "InferenceService")["spec"]["predictor"]
    return spec


PODS = {overlay: pod_of(overlay) for overlay in OVERLAYS} | {"kserve": predictor()}
pods = pytest.mark.parametrize("pod", PODS.values(), ids=PODS.keys())
overlays = pytest.mark.parametrize("overlay", OVERLAYS)


def environment(container: dict[str, Any]) -> dict[str, Any]:
    return {variable["name"]: variable.get("value") for variable in container.get("env", [])}
