"""The manifests are valid, and agree with each other."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
import yaml

from app.settings import VERSION
from deploy.pod import playable
from deploy.prometheus_rule import FOLDER, document
from tests.unit.deploy.manifests import (
    KUBERNETES,
    PODS,
    PROBES,
    ROOT,
    environment,
    objects,
    one,
    overlays,
    pod_of,
    pods,
    predictor,
)

VERSIONS = ("1.29", "1.33", "1.37")
"""Of Kubernetes, from about the oldest that clusters still have to the newest whose schema is known here."""


@overlays
@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid(overlay: str, version: str) -> None:
    """Strictly, by Kubernetes' own schemas: a misspelled field is an error, which the API server would drop."""
    for item in objects(f"overlays/{overlay}"):
        kubernetes_validate.validate(item, version, strict=True)


def test_the_inference_service_s_pod_is_valid() -> None:
    """What is KServe's own set apart, the predictor is a pod."""
    own = {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget"}
    spec = {name: value for name, value in predictor().items() if name not in own}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec}
    kubernetes_validate.validate(pod, VERSIONS[-1], strict=True)


@overlays
def test_what_podman_plays_is_valid_too(overlay: str) -> None:
    """`make pod-test` changes the pod; it stays one."""
    for item in playable(KUBERNETES / "overlays" / overlay, "image", "5001", "a"):
        kubernetes_validate.validate(item, VERSIONS[-1], strict=True)


# --- one with another ---------------------------------------------------------------------------------------------


@overlays
def test_everything_means_the_same_pods(overlay: str) -> None:
    """Service, budget, network policy, spread and the Deployment itself select what the template labels."""
    found = {item["kind"]: item for item in objects(f"overlays/{overlay}")}
    template = found["Deployment"]["spec"]["template"]
    labels = template["metadata"]["labels"]
    selectors = [
        found["Service"]["spec"]["selector"],
        found["Deployment"]["spec"]["selector"]["matchLabels"],
        found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        *(spread["labelSelector"]["matchLabels"] for spread in template["spec"]["topologySpreadConstraints"]),
    ]
    assert all(selector and selector.items() <= labels.items() for selector in selectors)
    scaled = found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (scaled["kind"], scaled["name"]) == ("Deployment", found["Deployment"]["metadata"]["name"])
    assert "replicas" not in found["Deployment"]["spec"]


def test_every_port_by_name_is_the_container_s() -> None:
    """Service, network policy, monitor and probes."""
    (port,) = PODS["baked"]["containers"][0]["ports"]
    (service_port,) = one("base", "Service")["spec"]["ports"]
    assert service_port["targetPort"] == port["name"]
    assert one("base", "NetworkPolicy")["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": port["name"]}]
    assert one("monitoring", "ServiceMonitor")["spec"]["endpoints"][0]["port"] == service_port["name"]


def test_the_monitor_finds_the_service_under_the_name_that_the_alerts_know() -> None:
    """Prometheus calls the job like the Service, and every rule asks for that job."""
    service, monitor = one("base", "Service"), one("monitoring", "ServiceMonitor")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (job,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    assert service["metadata"]["name"] == job["job_name"]


def test_the_rules_are_those_of_the_plain_prometheus() -> None:
    """Who changes them runs `make prometheus-rule`."""
    assert (KUBERNETES / "monitoring" / "prometheus-rule.yaml").read_text() == document()
    names = [rule.get("alert") for group in yaml.safe_load(document())["spec"]["groups"] for rule in group["rules"]]
    assert {"ServiceDown", "PredictionsFailing"} <= set(names)


def test_kserve_runs_the_same_pod() -> None:
    """But for the names that are KServe's, and for what it spreads and calls ready itself."""
    plain, served = pod_of("baked"), predictor()
    (container,), (serving,) = plain["containers"], served["containers"]
    served_port = serving["ports"][0]["name"]
    for probe in PROBES:
        assert serving[probe]["httpGet"].pop("port") == served_port
        assert container[probe]["httpGet"].pop("port") == container["ports"][0]["name"]
    assert serving["ports"][0]["containerPort"] == container["ports"][0]["containerPort"]
    assert environment(serving) == environment(container) | {"PROTOCOL": "v2"}
    apart = {"name", "env", "ports"}
    assert without(serving, apart) == without(container, apart)
    apart = {"containers", "topologySpreadConstraints", "minReplicas", "maxReplicas", "scaleMetric", "scaleTarget"}
    assert without(served, apart) == without(plain, apart)


def without(mapping: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if name not in names}


@pods
def test_the_image_is_this_release_s(pod: dict[str, Any]) -> None:
    """The image's own label says the same."""
    images = {container["image"] for container in [*pod.get("initContainers", []), *pod["containers"]]}
    assert images == {f"registry.example/anomaly-service:{VERSION}"}
    assert f"ARG VERSION={VERSION}\n" in (ROOT / "Dockerfile").read_text()
