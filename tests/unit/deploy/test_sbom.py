"""The bill of materials: complete, valid, the same for the same image, and no image passes that is not as locked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deploy.sbom import differences, document


def inventory(**changes: Any) -> dict[str, Any]:
    return {
        "system": {"name": "debian", "version": "13"},
        "packages": [["libc6", "2.41-12", "amd64"], ["base-files", "13.8+deb13u1", "amd64"]],
        "python": "3.11.7",
        "libraries": [["Flask", "3.1.3", "BSD-3-Clause"], ["typing_extensions", "4.1", ""]],
        "models": [["v1", "ab" * 32]],
        **changes,
    }


def test_everything_has_its_place() -> None:
    """By the package URL that scanners look up, spelled as they spell it."""
    bom = json.loads(document(inventory()))
    assert [component["bom-ref"] for component in bom["components"]] == [
        "debian-13",
        "model@v1",
        "pkg:deb/debian/base-files@13.8%2Bdeb13u1?arch=amd64&distro=debian-13",
        "pkg:deb/debian/libc6@2.41-12?arch=amd64&distro=debian-13",
        "pkg:generic/python@3.11.7",
        "pkg:pypi/flask@3.1.3",
        "pkg:pypi/typing-extensions@4.1",
    ]
    assert bom["components"][5]["licenses"] == [{"expression": "BSD-3-Clause"}]
    assert bom["metadata"]["component"]["name"] == "anomaly-service"


def test_the_same_image_gives_the_same_bytes() -> None:
    """In whatever order the image lists what it has; and another image another serial number."""
    one = inventory()
    other = {name: list(reversed(value)) if isinstance(value, list) else value for name, value in one.items()}
    assert document(one) == document(other)
    changed = json.loads(document(inventory(python="3.11.8")))
    assert changed["serialNumber"] != json.loads(document(one))["serialNumber"]


def test_what_breaks_the_schema_is_no_bill() -> None:
    """A license that is no SPDX expression may pass; a version that is no text may not."""
    with pytest.raises(AssertionError, match="breaks the schema"):
        document(inventory(python=3))


@pytest.mark.parametrize(
    ("locked", "problems"),
    [
        pytest.param({"flask": "3.1.3", "typing-extensions": "4.1"}, [], id="the same"),
        pytest.param(
            {"flask": "3.1.3", "typing-extensions": "4.2"},
            ["typing-extensions: 4.1 is installed, 4.2 is locked"],
            id="another version",
        ),
        pytest.param({"flask": "3.1.3"}, ["typing-extensions: 4.1 is installed, nothing is locked"], id="one too many"),
        pytest.param(
            {"flask": "3.1.3", "typing-extensions": "4.1", "uvloop": "1"},
            ["uvloop: nothing is installed, 1 is locked"],
            id="one too few",
        ),
    ],
)
def test_an_image_must_be_as_locked(locked: dict[str, str], problems: list[str]) -> None:
    """However the names are spelled."""
    assert differences(inventory(), locked) == problems
