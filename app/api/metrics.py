"""`GET /metrics`: everything that is counted, in Prometheus' text format."""

from __future__ import annotations

from flask import Blueprint, Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from app.api.exchange import reply
from app.serving.gauges import StateGauges
from app.telemetry.tally import Tally


def metrics_views(tally: Tally, gauges: StateGauges) -> Blueprint:
    """The endpoint that Prometheus scrapes."""
    views = Blueprint("metrics", __name__)

    @views.get("/metrics")
    def metrics() -> Response:
        tally.flush()
        registry = CollectorRegistry()
        registry.register(tally.instruments)
        registry.register(gauges)
        encode, media_type = choose_encoder(request.headers.get("Accept", ""))
        return reply(encode(registry), 200, media_type)

    return views
