"""What the README tells people to send."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

README = (Path(__file__).parents[2] / "README.md").read_text()
POSTS = re.findall(r"curl -s http://localhost:5000(\S+) -H 'Content-Type: application/json' -d '([^']+)'", README)


def test_the_readme_shows_how_to_ask() -> None:
    """In both of the service's languages."""
    assert {"/predict", "/v2/models/anomaly/infer"} <= {path for path, _ in POSTS}


@pytest.mark.parametrize(("path", "body"), [pytest.param(*post, id=post[0]) for post in POSTS])
def test_what_the_readme_sends_is_answered(client: FlaskClient, path: str, body: str) -> None:
    """Copied and pasted."""
    assert client.post(path, data=body, content_type="application/json").status_code == 200
