"""The pods promise nothing that the service does not keep, and have what it needs and no more."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from app.factory import create_app
from app.settings import SECRETS, Settings, load_settings
from tests.unit.deploy.manifests import PODS, PROBES, ROOT, environment, objects, one, pods

ENVIRONMENT = {name.upper() for name in Settings.model_fields} | {f"{name.upper()}_FILE" for name in SECRETS}
NOT_OURS = {"POD_NAME", "PROTOCOL"}
"""Variables for Kubernetes' own substitution, and KServe's."""


@pods
def test_every_variable_is_a_setting(pod: dict[str, Any]) -> None:
    """A misspelled one would be passed over in silence, by Kubernetes and by the service; and all are good together."""
    (container,) = pod["containers"]
    variables = environment(container)
    assert variables.keys() - ENVIRONMENT - NOT_OURS == set()
    settings = load_settings({name: value for name, value in variables.items() if name not in NOT_OURS})
    assert settings.port == container["ports"][0]["containerPort"]


@pods
def test_the_grace_period_is_longer_than_the_service_takes_to_leave(pod: dict[str, Any]) -> None:
    """With the drain on top, although GRACEFUL_TIMEOUT_S includes it."""
    variables = environment(pod["containers"][0])
    assert pod["terminationGracePeriodSeconds"] > float(variables["DRAIN_S"]) + float(variables["GRACEFUL_TIMEOUT_S"])


@pods
def test_the_drain_outlasts_the_readiness_probe(pod: dict[str, Any]) -> None:
    """Whoever goes by readiness has heard of it before the service closes its door."""
    probe = pod["containers"][0]["readinessProbe"]
    assert float(environment(pod["containers"][0])["DRAIN_S"]) > probe["periodSeconds"] * probe["failureThreshold"]


def test_every_probe_asks_an_endpoint_that_there_is(settings: Settings, version: str) -> None:
    """And the one that is meant: to be ready is another matter than to be alive."""
    endpoints = {rule.rule for rule in create_app(settings).url_map.iter_rules()}
    for pod in PODS.values():
        (container,) = pod["containers"]
        paths = [container[probe]["httpGet"]["path"] for probe in PROBES]
        assert paths == ["/health/live", "/health/live", "/health/ready"]
        assert set(paths) <= endpoints
    (endpoint,) = one("monitoring", "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["path"] in endpoints


@pods
def test_no_pod_has_any_power(pod: dict[str, Any]) -> None:
    """What Kubernetes calls `restricted`, and a root filesystem that nobody can write to."""
    security = pod["securityContext"]
    assert (security["runAsNonRoot"], security["runAsUser"]) == (True, 10001)
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]


@pods
def test_whatever_is_mounted_is_a_volume_and_the_other_way_round(pod: dict[str, Any]) -> None:
    """And what the service writes to lies on one: the audit, and the shared memory of the image's HOME and TMPDIR."""
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert sorted(mounts) == sorted(volume["name"] for volume in pod["volumes"])
    variables = environment(container)
    (scratch,) = re.findall(r"TMPDIR=(\S+)", (ROOT / "Dockerfile").read_text())
    assert {variables["AUDIT_DIR"].removesuffix("/$(POD_NAME)"), scratch} <= set(mounts.values())


def test_the_audit_fits_its_volume() -> None:
    """A full emptyDir evicts its pod: the oldest files must go well before, and the file being written comes on top."""
    (audit,) = (volume for volume in PODS["baked"]["volumes"] if volume["name"] == "audit")
    keep = int(environment(PODS["baked"]["containers"][0])["AUDIT_KEEP_BYTES"])
    size = int(audit["emptyDir"]["sizeLimit"].removesuffix("Gi")) * 1024**3
    rotate = Settings.model_fields["audit_rotate_bytes"].default
    assert keep + rotate <= size


def test_the_pods_of_the_volume_overlay_have_a_folder_each_for_the_audit() -> None:
    """Process ids, which name the files, are the same in every pod. Kubernetes puts in only what stands further up."""
    (container,) = PODS["volume"]["containers"]
    names = [variable["name"] for variable in container["env"]]
    assert environment(container)["AUDIT_DIR"].endswith("/$(POD_NAME)")
    assert names.index("POD_NAME") < names.index("AUDIT_DIR")


def test_every_claim_can_be_mounted_by_every_pod() -> None:
    """And each is mounted."""
    claims = [item for item in objects("overlays/volume") if item["kind"] == "PersistentVolumeClaim"]
    used = [volume["persistentVolumeClaim"] for volume in PODS["volume"]["volumes"] if "emptyDir" not in volume]
    assert {claim["metadata"]["name"] for claim in claims} == {volume["claimName"] for volume in used}
    assert all(claim["spec"]["accessModes"] == ["ReadWriteMany"] for claim in claims)


def test_several_pods_may_fill_an_empty_registry_at_once(tmp_path: Path) -> None:
    """The init container's own script: whole versions only, the pointer last, and what is there is left as it is."""
    (seed,) = PODS["volume"]["initContainers"]
    source, target = tmp_path / "image", tmp_path / "registry"
    for version in ("v1", "v2"):
        (source / "models" / version).mkdir(parents=True)
        (source / "models" / version / "manifest.json").write_text(version)
    (source / "models" / "history.jsonl").write_text("history\n")
    (source / "models" / "ACTIVE").write_text("v1\n")
    target.mkdir()
    command = [*seed["command"], seed["args"][0].replace("/var/lib/anomaly-service/models", str(target))]

    def run(_: int) -> int:
        return subprocess.run(command, cwd=source, check=False).returncode

    with ThreadPoolExecutor(8) as pods:
        assert set(pods.map(run, range(8))) == {0}
    assert tree(target) == tree(source / "models")
    (target / "ACTIVE").write_text("v2\n")
    assert run(0) == 0
    assert (target / "ACTIVE").read_text() == "v2\n"


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
