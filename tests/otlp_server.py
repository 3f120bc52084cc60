"""A small local collector: takes OTLP over HTTP, decodes it, and keeps it. It can also refuse, or never answer.

with otlp_server() as collector:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    ...
    collector.spans
"""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue


@dataclass(frozen=True)
class Taken:
    """A span as a collector gets it."""

    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass
class Collector:
    """What was sent.

    Args:
        url: To send to.
    """

    url: str
    spans: list[Taken] = field(default_factory=list)
    metrics: set[str] = field(default_factory=set)
    asked: threading.Event = field(default_factory=threading.Event)
    """Set by the first request."""
    gone: threading.Event = field(default_factory=threading.Event)


@contextmanager
def otlp_server(*, status: int = 200, hangs: bool = False) -> Iterator[Collector]:
    """Serve on a free port of this machine.

    Args:
        status: What every request is answered with.
        hangs: Answer nothing until the server is closed.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.asked.set()
            if hangs:
                collector.gone.wait()
                return
            if status == 200:
                _take(collector, self.path, gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.gone.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _take(collector: Collector, path: str, body: bytes) -> None:
    if path == "/v1/metrics":
        told = ExportMetricsServiceRequest.FromString(body)
        collector.metrics |= {m.name for r in told.resource_metrics for s in r.scope_metrics for m in s.metrics}
        return
    assert path == "/v1/traces", path
    for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = {each.key: _plain(each.value) for each in of_resource.resource.attributes}
        for scope in of_resource.scope_spans:
            for span in scope.spans:
                attributes = {each.key: _plain(each.value) for each in span.attributes}
                ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
                collector.spans.append(Taken(span.name, *ids, attributes, resource))


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None
