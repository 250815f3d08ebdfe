"""One pod of an overlay, for `podman kube play`: deploy/pod-test.sh runs what it prints.

    python deploy/pod.py OVERLAY IMAGE PORT > pod.yaml

What podman cannot do is changed, and that is all that such a test does not prove: its network is the host's, on a port
that is free there; it asks no probes, so the test asks them; it knows no `fsGroup`, so volumes on disk are made for the
pod's user, and the one in memory is the /dev/shm that podman gives every container. Nor does it put variables into the
values of others, so the audit's folder of the volume overlay is called by the words `$(POD_NAME)`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))  # it is run as a file

from deploy.kustomize import build

PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def main() -> int:
    """Prints the volumes and the pod."""
    overlay, image, port = sys.argv[1:]
    print(yaml.safe_dump_all(playable(Path(overlay), image, port, f"anomaly-{port}"), sort_keys=False), end="")
    return 0


def playable(overlay: Path, image: str, port: str, name: str) -> list[dict[str, Any]]:
    """The claims and the pod called `name`, whose service listens on `port`."""
    (deployment,) = (found for found in build(overlay) if found["kind"] == "Deployment")
    template = deployment["spec"]["template"]
    spec, security = template["spec"], template["spec"]["securityContext"]
    in_memory = {volume["name"] for volume in spec["volumes"] if volume.get("emptyDir", {}).get("medium") == "Memory"}
    on_disk = [volume["name"] for volume in spec["volumes"] if volume["name"] not in in_memory]
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        container |= {"image": image, "imagePullPolicy": "Never"}
        container["volumeMounts"] = [mount for mount in container["volumeMounts"] if mount["name"] not in in_memory]
        for unknown in ("ports", *PROBES):
            container.pop(unknown, None)
        for variable in container.get("env", []):
            if variable["name"] == "PORT":
                variable["value"] = port
    volumes = [{"name": volume, "persistentVolumeClaim": {"claimName": f"{name}-{volume}"}} for volume in on_disk]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": template["metadata"]["labels"]},
        "spec": spec | {"volumes": volumes, "hostNetwork": True, "restartPolicy": "Never"},
    }
    return [*(_claim(f"{name}-{volume}", security["runAsUser"], security["fsGroup"]) for volume in on_disk), pod]


def _claim(name: str, uid: int, gid: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "annotations": {"volume.podman.io/uid": str(uid), "volume.podman.io/gid": str(gid)},
        },
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }


if __name__ == "__main__":
    sys.exit(main())
