"""Traces of the running service: in the lines of its worker, and on the wire to a collector."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from app.contract.schema import FeatureSchema
from tests.e2e.conftest import StartService, eventually
from tests.e2e.wire import exchange

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


class Collector(ThreadingHTTPServer):
    """Takes spans as OTLP has them, over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[Span] = []
        self.services: set[str] = set()


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        request = ExportTraceServiceRequest()
        request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/v1/traces"
        for resource in request.resource_spans:
            self.server.services |= {
                a.value.string_value for a in resource.resource.attributes if a.key == "service.name"
            }
            self.server.spans += [span for scope in resource.scope_spans for span in scope.spans]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_spans_of_every_worker_reach_the_collector(start_service: StartService, collector: Collector) -> None:
    """Also those that a stopping worker still holds."""
    service = start_service(
        WEB_CONCURRENCY="2",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.server_port}/",
        OTEL_BSP_SCHEDULE_DELAY="60000",  # so that nothing is sent before they stop
    )
    reading = FeatureSchema().example()
    replies = [service.post("/predict", reading, {"traceparent": TRACEPARENT}) for _ in range(20)]
    named = {reply.headers["traceparent"] for reply in replies}
    assert service.stop() == 0
    predictions = [span for span in collector.spans if span.name == "POST /predict"]
    assert {f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01" for span in predictions} == named
    assert {span.parent_span_id.hex() for span in predictions} == {PARENT}
    assert all(span.end_time_unix_nano > span.start_time_unix_nano for span in predictions)
    assert collector.services == {"anomaly-service"}


def test_a_collector_that_is_away_costs_no_request(start_service: StartService) -> None:
    """What cannot be sent is said in the log, and predictions go on."""
    service = start_service(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_BSP_SCHEDULE_DELAY="50")

    def complained() -> bool:
        assert service.post("/predict", FeatureSchema().example()).status == 200
        return any(line["event"].startswith("opentelemetry.") for line in service.log_lines())

    eventually(complained, "the log says that nothing can be sent", 30)


def test_lines_of_the_worker_tell_the_trace(start_service: StartService) -> None:
    """Of an answered request, of one that was none, and not of whatever happens afterwards."""
    service = start_service(ACCESS_LOG="1")
    headers = f"traceparent: {TRACEPARENT}\r\nX-Request-ID: asked-1\r\n"
    exchange(service.port, f"GET /health/live HTTP/1.1\r\nHost: a\r\n{headers}\r\n".encode())
    exchange(service.port, f"GET /health/live HTTP/1.1\r\nHost: a\r\n{headers}Expect: a miracle\r\n\r\n".encode())
    eventually(lambda: service.events("request.rejected"), "the last of both is in the log")
    assert service.stop() == 0
    lines = service.log_lines()
    traced = [line for line in lines if "trace_id" in line]
    assert [line["event"] for line in traced] == ["http.request", "request.rejected"]
    assert {(line["trace_id"], line["request_id"]) for line in traced} == {(TRACE, "asked-1")}
    (stopping,) = [line for line in lines if line["event"] == "service.stopping"]
    assert "request_id" not in stopping
