"""`GET /`: the triage page, for a person at 2 AM. Complete without JavaScript; with it, it refreshes itself."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from importlib import resources
from typing import NamedTuple

from flask import Blueprint, abort, request
from jinja2 import Environment, PackageLoader, StrictUndefined

from app.api.exchange import Reply, reply
from app.api.triage.page import Page, form_of, page_of, versions_of
from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from app.serving.health import HealthCheck
from app.serving.reload import ModelFollower
from app.serving.traffic import summarize

# Nothing from elsewhere and nothing inline: whatever a client managed to get onto the page, it could not run.
_SECURITY = [
    ("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
     "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]  # fmt: skip
_MEDIA_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_FOREVER = ("Cache-Control", "public, max-age=31536000, immutable")


class _Asset(NamedTuple):
    content: bytes
    media_type: str


class PageWriter:
    """Turns a `Page` into HTML. Holds the files that go with it, each under a name that changes with its content."""

    def __init__(self) -> None:
        templates = Environment(
            loader=PackageLoader("app.api.triage"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip
        self._template = templates.get_template("page.html")
        self.assets: dict[str, _Asset] = {}
        self._names: dict[str, str] = {}
        for file in (resources.files("app.api.triage") / "assets").iterdir():
            stem, _, suffix = file.name.rpartition(".")
            content = file.read_bytes()
            name = f"{stem}-{hashlib.sha256(content).hexdigest()[:12]}.{suffix}"
            self.assets[name] = _Asset(content, _MEDIA_TYPES[suffix])
            self._names[file.name] = name

    def html(self, page: Page) -> str:
        """The page; addresses in it are relative, so that it may be served below any path."""
        return self._template.render(page=page, asset=lambda name: f"assets/{self._names[name]}")


def dashboard_views(
    check: HealthCheck,
    follower: ModelFollower,
    registry: Registry,
    schema: FeatureSchema,
    environment: dict[str, str],
    clock: Callable[[], float] = time.time,
) -> Blueprint:
    """The page and its files."""
    views = Blueprint("dashboard", __name__)
    writer = PageWriter()

    @views.get("/")
    def page() -> Reply:
        found = check.health()
        traffic = summarize([report.traffic for report, _ in found.workers], follower.chain.bins)
        form = form_of(schema.features, request.root_url.rstrip("/"))
        html = writer.html(page_of(found, traffic, versions_of(registry), form, environment, clock()))
        headers = [("Cache-Control", "no-store"), *_SECURITY]
        return reply(request.environ, html.encode(), 200, "text/html; charset=utf-8", headers)

    @views.get("/assets/<name>")
    def asset(name: str) -> Reply:
        known = writer.assets.get(name) or abort(404)
        return reply(request.environ, known.content, 200, known.media_type, [_FOREVER, *_SECURITY])

    return views
