"""`GET /metrics`: everything that is counted, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, request
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from app.api.exchange import Reply, reply
from app.serving.gauges import StateGauges
from app.telemetry.tally import Tally


def metrics_views(tally: Tally, gauges: StateGauges) -> Blueprint:
    """The endpoint that Prometheus scrapes."""
    views = Blueprint("metrics", __name__)

    @views.get("/metrics")
    def metrics() -> Reply:
        tally.flush()
        registry = CollectorRegistry()
        registry.register(tally.instruments)
        registry.register(gauges)
        encode, media_type = _encoder(request.headers.get("Accept", ""))
        return reply(request.environ, encode(registry), 200, media_type)

    return views


def _encoder(accept: str) -> tuple[Callable[[CollectorRegistry], bytes], str]:
    try:
        encode, media_type = choose_encoder(accept)
    except TypeError:  # raised where a version in it is no number
        encode, media_type = choose_encoder("")
    return encode, media_type
