"""`GET /openapi.json`, and `GET /docs`: the same in Swagger UI, from packaged files, without any other host."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Blueprint, current_app, request
from werkzeug.exceptions import NotFound
from werkzeug.routing import Map

from app.api.exchange import Reply, reply
from app.api.openapi.document import build_document
from app.contract.schema import FeatureSchema
from app.telemetry.logs import render

if TYPE_CHECKING:
    from app.api.access import Gate

ASSETS = {
    "docs.js": "text/javascript; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
"""The page's files, with their media types. Nothing else of any folder is served."""

_OWN = Path(__file__).parent / "static"
_CACHED = [("Cache-Control", "public, max-age=3600"), ("X-Content-Type-Options", "nosniff")]
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def docs_views(schema: FeatureSchema, gate: Gate | None, *, model_name: str, max_batch_rows: int) -> Blueprint:
    """The endpoints that describe all others. The document is built when it is first asked for."""
    views = Blueprint("docs", __name__)

    @cache
    def document() -> bytes:
        rules = described_rules(current_app.url_map, model_name)
        return render(
            build_document(
                rules, schema, model_name=model_name, max_batch_rows=max_batch_rows, assets=list(ASSETS), gate=gate
            )
        )

    @views.get("/openapi.json")
    def openapi() -> Reply:
        return reply(request.environ, document(), 200, "application/json", [("Cache-Control", "max-age=60")])

    @views.get("/docs")
    def page() -> Reply:
        headers = [("Content-Security-Policy", _POLICY), ("Referrer-Policy", "no-referrer"), *_CACHED]
        return reply(request.environ, (_OWN / "docs.html").read_bytes(), 200, "text/html; charset=utf-8", headers)

    @views.get("/docs/<asset>")
    def file(asset: str) -> Reply:
        if asset not in ASSETS:
            raise NotFound
        own = _OWN / asset
        path = own if own.exists() else _swagger_ui() / asset
        return reply(request.environ, path.read_bytes(), 200, ASSETS[asset], _CACHED)

    return views


def described_rules(url_map: Map, model_name: str) -> set[tuple[str, str]]:
    """Method and path of each rule, as OpenAPI has them. HEAD and OPTIONS follow from the others."""
    return {
        (method.lower(), _template(rule.rule, model_name))
        for rule in url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def _template(rule: str, model_name: str) -> str:
    path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)
    # A quick view of the one model has a path of its own, beside that of a model of any name.
    return path.replace(f"/models/{model_name}/", "/models/{name}/")


def _swagger_ui() -> Path:
    """The folder of the package's files; the package itself is never imported."""
    spec = find_spec("flask_swagger_ui")
    if spec is None or not spec.submodule_search_locations:
        raise NotFound("Swagger UI is not installed; /openapi.json has the same")
    return Path(spec.submodule_search_locations[0]) / "dist"
