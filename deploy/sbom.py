"""`make sbom`: what is in the image, as a CycloneDX document: Debian packages, Python, every library, every model.

    python deploy/sbom.py IMAGE [ENGINE...] > sbom.json

It is asked from the image itself, and held against the lock: an image with another set of libraries is a failure.
The same image gives the same bytes: the document bears no time, and its serial number is a digest of its contents.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

sys.path.insert(0, str(Path(__file__).parents[1]))  # it is run as a file

from app.settings import VERSION
from deploy.audit_dependencies import pins

LOCK = Path(__file__).parents[1] / "requirements.txt"

INVENTORY = """
import hashlib, importlib.metadata, json, pathlib, platform, subprocess
packages = subprocess.run(
    ["dpkg-query", "--show", "--showformat", "${Package} ${Version} ${Architecture}\\n"],
    capture_output=True, text=True, check=True,
).stdout
release = platform.freedesktop_os_release()
print(json.dumps({
    "system": {"name": release["ID"], "version": release["VERSION_ID"]},
    "packages": [line.split() for line in packages.splitlines()],
    "python": platform.python_version(),
    "libraries": [
        [found.name, found.version, found.metadata.get("License-Expression") or ""]
        for found in importlib.metadata.distributions()
    ],
    "models": [
        [manifest.parent.name, hashlib.sha256(manifest.read_bytes()).hexdigest()]
        for manifest in pathlib.Path("models").glob("*/manifest.json")
    ],
}))
"""
"""Run in the image, by its Python."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the document; says on stderr what is wrong."""
    image, *engine = sys.argv[1:] if arguments is None else arguments
    done = subprocess.run(
        [*(engine or ["docker"]), "run", "--rm", "--network=none", image, "python", "-c", INVENTORY],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        print(f"{image}: {done.stderr.strip()[-1000:]}", file=sys.stderr)
        return 1
    inventory = json.loads(done.stdout)
    problems = differences(inventory, pins(LOCK.read_text()))
    for problem in problems:
        print(f"{image}: {problem}", file=sys.stderr)
    print(document(inventory), end="")
    return 1 if problems else 0


def differences(inventory: dict[str, Any], locked: dict[str, str]) -> list[str]:
    """Where the image's libraries are not those of the lock."""
    found = {_normalised(name): version for name, version, _ in inventory["libraries"]}
    return [
        f"{name}: {found.get(name, 'nothing')} is installed, {locked.get(name, 'nothing')} is locked"
        for name in sorted(found.keys() | locked.keys())
        if found.get(name) != locked.get(name)
    ]


def document(inventory: dict[str, Any]) -> str:
    """The CycloneDX document, valid by its schema, with everything in a fixed order."""
    root = f"anomaly-service@{VERSION}"
    components = sorted(_components(inventory), key=lambda component: str(component["bom-ref"]))
    bom: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "container", "bom-ref": root, "name": "anomaly-service", "version": VERSION}
        },
        "components": components,
        "dependencies": [{"ref": root, "dependsOn": [component["bom-ref"] for component in components]}],
    }
    bom["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bom, sort_keys=True))}"
    text = json.dumps(bom, indent=2, sort_keys=True) + "\n"
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error is not None:
        raise AssertionError(f"the document breaks the schema: {error}")
    return text


def _components(inventory: dict[str, Any]) -> list[dict[str, Any]]:
    system = inventory["system"]
    distro = f"{system['name']}-{system['version']}"
    found = [
        {"type": "operating-system", "bom-ref": distro, **system},
        _package("application", f"pkg:generic/python@{inventory['python']}", "python", inventory["python"]),
    ]
    for name, version, architecture in inventory["packages"]:
        purl = f"pkg:deb/{system['name']}/{name}@{quote(version)}?arch={architecture}&distro={distro}"
        found.append(_package("library", purl, name, version))
    for name, version, license_expression in inventory["libraries"]:
        library = _package("library", f"pkg:pypi/{_normalised(name)}@{quote(version)}", name, version)
        found.append(library | ({"licenses": [{"expression": license_expression}]} if license_expression else {}))
    for version, digest in inventory["models"]:
        model = {"type": "machine-learning-model", "bom-ref": f"model@{version}", "name": "model", "version": version}
        found.append(
            model | {"hashes": [{"alg": "SHA-256", "content": digest}]}
        )  # of the manifest, which holds all others
    return found


def _package(kind: str, purl: str, name: str, version: str) -> dict[str, Any]:
    return {"type": kind, "bom-ref": purl, "purl": purl, "name": name, "version": version}


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
