"""`kubectl kustomize DIR`, as far as deploy/kubernetes needs it, for tests and `make pod-test` without kubectl.

    python deploy/kustomize.py DIR > objects.yaml

Knows resources, components, images, and patches of RFC 6902 operations; anything else in a kustomization is refused,
never passed over. A test holds it against kubectl wherever that is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

KNOWN = {"apiVersion", "kind", "resources", "components", "images", "patches"}

Objects = list[dict[str, Any]]


def main() -> int:
    """Prints the objects of one folder."""
    (folder,) = sys.argv[1:]
    print(yaml.safe_dump_all(build(Path(folder)), sort_keys=False), end="")
    return 0


def build(folder: Path) -> Objects:
    """The objects of a kustomization, in the order in which they are named."""
    return _apply(folder, [])


def _apply(folder: Path, objects: Objects) -> Objects:
    """What a kustomization makes of the objects that were there before, its own resources among them."""
    config = yaml.safe_load((folder / "kustomization.yaml").read_text())
    if unknown := config.keys() - KNOWN:
        raise ValueError(f"{folder}/kustomization.yaml: not known here: {', '.join(sorted(unknown))}")
    for name in config.get("resources", []):
        path = folder / name
        objects += build(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))
    for name in config.get("components", []):
        objects = _apply(folder / name, objects)
    for patch in config.get("patches", []):
        operations = yaml.safe_load((folder / patch["path"]).read_text())
        targets = [found for found in objects if _is_target(found, patch["target"])]
        if not targets:
            raise ValueError(f"{folder}: {patch['path']} has nothing to patch")
        for target in targets:
            for operation in operations:
                _patch(target, **operation)
    for image in config.get("images", []):
        for container in _containers(objects):
            if container["image"].partition(":")[0] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
    return objects


def _is_target(found: dict[str, Any], target: dict[str, str]) -> bool:
    return (found["kind"], found["metadata"]["name"]) == (target["kind"], target["name"])


def _patch(target: Any, op: str, path: str, value: Any) -> None:
    """One operation of RFC 6902: `test`, `add` or `replace`."""
    last: Any
    *parents, last = (part.replace("~1", "/").replace("~0", "~") for part in path.removeprefix("/").split("/"))
    for part in parents:
        target = target[int(part)] if isinstance(target, list) else target[part]
    if isinstance(target, list) and last != "-":
        last = int(last)
    if op == "add" and isinstance(target, list):
        target.insert(len(target) if last == "-" else last, value)
    elif op == "add":
        target[last] = value
    elif op in ("replace", "test"):
        found = target[last]  # it must be there
        if op == "test" and found != value:
            raise ValueError(f"{path}: {found!r} where {value!r} was expected")
        target[last] = value
    else:
        raise ValueError(f"{op} {path}: an operation that is not known here")


def _containers(node: Any) -> Iterator[dict[str, Any]]:
    """Every container below, of whatever kind of object."""
    if isinstance(node, list):
        for item in node:
            yield from _containers(item)
    elif isinstance(node, dict):
        for key, item in node.items():
            if key in ("containers", "initContainers"):
                yield from item
            yield from _containers(item)


if __name__ == "__main__":
    sys.exit(main())
