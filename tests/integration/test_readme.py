"""What the README tells people to send, quickly; `tests/documents` sends it to a service, with curl."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask

from tests.documents.blocks import ROOT, blocks

POSTS = [
    post
    for block in blocks("README.md", "bash")
    for post in re.findall(
        r"curl -s http://localhost:5000(\S+) -H 'Content-Type: application/json' (?:\\\n *)?-d '([^']+)'", block.text
    )
]


def test_the_readme_shows_how_to_ask() -> None:
    """In both of the service's languages, and how to say what really was."""
    assert [path for path, _ in POSTS] == ["/predict", "/feedback", "/v2/models/anomaly/infer"]


@pytest.mark.parametrize(("path", "body"), [pytest.param(*post, id=post[0]) for post in POSTS])
def test_what_the_readme_sends_is_answered(make_app: Callable[..., Flask], path: str, body: str) -> None:
    """Copied and pasted, to the shipped model."""
    client = make_app(models_dir=ROOT / "models").test_client()
    assert client.post(path, data=body, content_type="application/json").status_code in (200, 202)
