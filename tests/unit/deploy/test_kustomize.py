"""The small kustomize gives what kubectl gives, and refuses what it does not know."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.kustomize import build

KUBERNETES = Path(__file__).parents[3] / "deploy" / "kubernetes"
FOLDERS = ("base", "overlays/baked", "overlays/volume", "overlays/with-keys", "monitoring", "kserve")


@pytest.fixture
def kubernetes(tmp_path: Path) -> Path:
    """A copy of the manifests, with an overlay that uses the component."""
    folder = Path(shutil.copytree(KUBERNETES, tmp_path / "kubernetes"))
    shutil.copytree(folder / "overlays" / "baked", folder / "overlays" / "with-keys")
    with (folder / "overlays" / "with-keys" / "kustomization.yaml").open("a") as file:
        file.write("components: [../../components/api-keys]\n")
    return folder


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("name", FOLDERS)
def test_kubectl_builds_the_same(kubernetes: Path, name: str) -> None:
    """Object by object; the order is each one's own."""
    done = subprocess.run(["kubectl", "kustomize", kubernetes / name], capture_output=True, text=True, check=True)
    assert by_name(build(kubernetes / name)) == by_name(list(yaml.safe_load_all(done.stdout)))


def by_name(objects: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(found["kind"], found["metadata"]["name"]): found for found in objects}


@pytest.mark.parametrize(
    ("kustomization", "problem"),
    [
        pytest.param("namePrefix: a-", "not known here: namePrefix", id="an unknown field"),
        pytest.param(
            "patches: [{path: patch.yaml, target: {kind: Deployment, name: none}}]", "nothing to patch", id="no target"
        ),
        pytest.param(
            "patches: [{path: patch.yaml, target: {kind: Service, name: a}}]",
            "not known here",
            id="an unknown operation",
        ),
        pytest.param(
            "patches: [{path: test.yaml, target: {kind: Service, name: a}}]", "'a' where 'b' was", id="another value"
        ),
    ],
)
def test_what_it_does_not_know_it_refuses(tmp_path: Path, kustomization: str, problem: str) -> None:
    """Passed over in silence, it would be missing from what is tested."""
    (tmp_path / "service.yaml").write_text("{kind: Service, metadata: {name: a}}")
    (tmp_path / "patch.yaml").write_text("[{op: move, path: /metadata/name, value: b}]")
    (tmp_path / "test.yaml").write_text("[{op: test, path: /metadata/name, value: b}]")
    (tmp_path / "kustomization.yaml").write_text(f"resources: [service.yaml]\n{kustomization}\n")
    with pytest.raises(ValueError, match=problem):
        build(tmp_path)
