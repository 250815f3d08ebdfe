"""The whole app in this process, without a server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.factory import EXTENSION, create_app
from app.settings import Settings


@pytest.fixture
def make_app(settings: Settings) -> Iterator[Callable[..., Flask]]:
    """`make_app(field=value, ...)`: an app with the test's settings, stopped at the end."""
    made: list[Flask] = []

    def make(**changes: Any) -> Flask:
        app = create_app(settings.model_copy(update=changes))
        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions[EXTENSION].background.stop()


@pytest.fixture
def client(make_app: Callable[..., Flask], version: str) -> FlaskClient:
    """A client of a service with a primary and a fallback."""
    return make_app().test_client()


def audit_lines(folder: Path) -> list[dict[str, Any]]:
    """All audit lines below a folder."""
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
