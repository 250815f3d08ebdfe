"""The yardstick: an empty Flask JSON route on the same worker class as the service."""

from __future__ import annotations

from flask import Flask, Response

from app.factory import EXTENSION, create_app


def create_empty_app() -> Flask:
    """A plain Flask app with one route that does nothing, and the service's components, which the worker needs."""
    app = Flask("empty")
    app.extensions[EXTENSION] = create_app().extensions[EXTENSION]

    @app.post("/predict")
    def empty() -> Response:
        return Response(b'{"success":true}', content_type="application/json")

    @app.get("/health/ready")
    def ready() -> Response:
        return Response(b'{"ready":true}', content_type="application/json")

    return app
