"""One span per request for OpenTelemetry.

The extra `otel`: imported only where `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from opentelemetry import trace as api
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.settings import VERSION
from app.telemetry.current import REQUEST
from app.telemetry.tracing import SPAN, Trace

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

Environ = dict[str, Any]
Wsgi = Callable[[Environ, "StartResponse"], Iterable[bytes]]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
_FROM_ENVIRON = {
    "url.scheme": "wsgi.url_scheme",
    "url.path": "PATH_INFO",
    "url.query": "QUERY_STRING",
    "client.address": "REMOTE_ADDR",
    "server.address": "SERVER_NAME",
    "user_agent.original": "HTTP_USER_AGENT",
}
"""Attributes by the semantic conventions for HTTP, and where they come from."""


def otlp(endpoint: str) -> SpanProcessor:
    """Sends spans to a collector in the background: starts a thread, so it belongs after the last fork."""
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces"))


class ExportedSpan:
    """The span of one request."""

    def __init__(self, span: api.Span) -> None:
        self._span = span
        context = span.get_span_context()
        self.trace = Trace(f"{context.trace_id:032x}", f"{context.span_id:016x}", f"{context.trace_flags:02x}")

    def answered(self, stage: str, version: str | None) -> None:
        self._span.set_attribute("anomaly.stage", stage)
        if version is not None:
            self._span.set_attribute("anomaly.model.version", version)


class Traced:
    """An app whose requests are spans, each the child of the span that its `traceparent` names."""

    def __init__(self, app: Wsgi, processor: Callable[[], SpanProcessor]) -> None:
        self._app = app
        self._processor = processor

    @cached_property
    def _tracer(self) -> api.Tracer:
        """Made by the first request: the process that loads the app may fork afterwards."""
        ours = {"service.name": "anomaly-service", "service.version": VERSION}
        provider = TracerProvider(resource=Resource.create(ours).merge(OTELResourceDetector().detect()))
        provider.add_span_processor(self._processor())
        return provider.get_tracer("app", VERSION)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        headers = {name: environ.get(f"HTTP_{name.upper()}", "") for name in ("traceparent", "tracestate")}
        parent = TraceContextTextMapPropagator().extract(headers)
        method = environ["REQUEST_METHOD"] if environ["REQUEST_METHOD"] in _METHODS else "_OTHER"
        span = self._tracer.start_span(method, parent, api.SpanKind.SERVER, _request_attributes(environ, method))
        if span.get_span_context().is_valid:  # it is not where OTEL_SDK_DISABLED is set
            environ[SPAN] = ExportedSpan(span)

        def start(status: str, *more: Any) -> Any:
            route = _route(environ)
            span.update_name(f"{method} {route}" if route is not None else method)
            span.set_attributes(_reply_attributes(environ, int(status[:3]), route))
            if status >= "500":  # a refusal is no failure of the server
                span.set_status(api.StatusCode.ERROR)
            return start_response(status, *more)

        try:
            return self._app(environ, start)
        finally:
            span.end()


def _request_attributes(environ: Mapping[str, Any], method: str) -> dict[str, str | int]:
    found = {name: environ[key] for name, key in _FROM_ENVIRON.items() if environ.get(key)}
    original = {} if method != "_OTHER" else {"http.request.method_original": environ["REQUEST_METHOD"]}
    return {
        "http.request.method": method,
        "network.protocol.version": environ["SERVER_PROTOCOL"].removeprefix("HTTP/"),
        "server.port": int(environ["SERVER_PORT"]),
        **found,
        **original,
    }


def _reply_attributes(environ: Mapping[str, Any], status: int, route: str | None) -> dict[str, str | int]:
    return {
        "http.response.status_code": status,
        **({"http.route": route} if route is not None else {}),
        **({"error.type": str(status)} if status >= 500 else {}),
        "anomaly.request_id": environ[REQUEST].request_id,
    }


def _route(environ: Mapping[str, Any]) -> str | None:
    """The rule that matched. What Flask does not know, or not any more, went past its routing, by its path alone."""
    request: Any = environ.get("werkzeug.request")
    if not hasattr(request, "url_rule"):
        return str(environ["PATH_INFO"])
    return None if request.url_rule is None else str(request.url_rule.rule)
