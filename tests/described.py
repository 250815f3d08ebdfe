"""Holds replies against an OpenAPI document, more strictly than a client may: no member that is not described."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_origin

from jsonschema import Draft202012Validator

from app.api.replies import KINDS

OPEN = {"Problem"}
"""An endpoint's problem may also have the members of its success."""

REPLY_TYPES = {name: kind for name, kind in KINDS.items() if get_origin(kind) is None}


class Description:
    """A document, and what it says of a reply."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = copy.deepcopy(document)
        for name in REPLY_TYPES.keys() & self.document["components"]["schemas"].keys() - OPEN:
            self.document["components"]["schemas"][name]["additionalProperties"] = False

    def check_reply(self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Fails where status, a header, the media type or the content of a reply is not as described."""
        reply = self.resolved(self.operation(method, path)["responses"][str(status)])
        sent = {name.lower(): value for name, value in headers.items()}
        for name, header in reply["headers"].items():
            described = self.resolved(header)
            value = sent.get(name.lower())
            assert value is not None or not described["required"], f"{name} is missing"
            if value is not None and described["schema"]["type"] == "integer":
                self.check(int(value), described["schema"])
        media_type = sent["content-type"].partition(";")[0]
        assert media_type in reply["content"]
        if media_type.endswith("json"):
            self.check(json.loads(body), reply["content"][media_type]["schema"])

    def check(self, value: object, schema: Mapping[str, Any]) -> None:
        """Fails where a value does not fit a schema of the document."""
        Draft202012Validator({**schema, "components": self.document["components"]}).validate(value)

    def operation(self, method: str, path: str) -> dict[str, Any]:
        """The operation that a request with this path goes to."""
        found: list[dict[str, Any]] = [
            item[method.lower()]
            for template, item in self.document["paths"].items()
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
        ]
        return found[0]

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Each method and path, with its operation."""
        for path, item in self.document["paths"].items():
            for method in item.keys() - {"parameters"}:
                yield method, path, item[method]

    def resolved(self, found: dict[str, Any]) -> dict[str, Any]:
        """What a reference refers to; anything else is itself."""
        if "$ref" in found:
            target: dict[str, Any] = self.document
            for part in found["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            return target
        return found
