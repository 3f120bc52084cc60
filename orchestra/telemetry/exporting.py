"""Exporting: where spans and metrics go, by the standard variables of OpenTelemetry or as a program says.

What is exported waits in a queue of bounded length and leaves on a thread of its own, so that no collector delays or fails a run.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Self

from state.errors import ConfigurationError
from state.observers import observe

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk.metrics import MeterProvider as OwnMeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace import TracerProvider as OwnTracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import TracerProvider

INSTALL = "pip install 'orchestra-agents[otel]'"
CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
FLUSH_SECONDS = 2.0
"""How long the end of a process waits, at most, for a collector to take what is left."""

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"

_log = logging.getLogger(__name__)
_active: Telemetry | None = None


def is_active() -> bool:
    """Whether the runs of this process are exported."""
    return _active is not None


def instrument(
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    content: bool | None = None,
) -> Telemetry:
    """Export every run of this process from now on, and return what ends that.

    A second call takes the place of the first.

    Args:
        tracer_provider: Makes the spans; by default the one that the program has set, else one by the environment's variables,
            which is then set for the whole program.
        meter_provider: Makes the metrics, likewise.
        content: Whether texts (tasks, answers, reasons) are exported, as far as events hold them: cut at 400 characters and
            without secrets. By default only where OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT is `true`.

    Raises:
        ConfigurationError: The extra is not installed, or a variable names an exporter that is not.
    """
    global _active
    try:
        from orchestra.telemetry.spans import SpanObserver, TurnIds
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("opentelemetry"):
            raise
        raise ConfigurationError(f"telemetry: {error.name} is not installed; {INSTALL}") from None
    from opentelemetry import metrics, trace

    from orchestra.telemetry.conventions import SCHEMA_URL

    if _active is not None:
        _active.close()
    tracers = tracer_provider or _tracers()
    meters = meter_provider or _meters(given=tracer_provider is not None)
    if content is None:
        content = os.environ.get(CONTENT, "").strip().lower() == "true"
    tracer = trace.get_tracer("orchestra", _version(), tracers, SCHEMA_URL)
    meter = metrics.get_meter("orchestra", _version(), meters, SCHEMA_URL)
    foreseeable = isinstance(getattr(tracers, "id_generator", None), TurnIds)
    observer = SpanObserver(tracer, meter, content=content, foreseeable=foreseeable)
    _active = Telemetry(observer, (tracers, meters))
    return _active


class Telemetry:
    """An export that is going on. Ends with `close`, as a context manager, or with the process."""

    def __init__(self, observer: Any, providers: Sequence[Any]) -> None:
        self._observer, self._providers = observer, providers
        self._stop: Callable[[], None] | None = observe(observer)
        atexit.register(self.close)

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Send what has ended so far, and return whether the collector took it.

        Args:
            seconds: To wait at most.
        """
        lost = _counted.lost
        sender = threading.Thread(target=self._send, name="orchestra-telemetry", daemon=True)
        sender.start()
        sender.join(seconds)
        if sender.is_alive() or _counted.lost > lost:
            _log.warning(
                "telemetry: the collector did not take everything within %g s, the rest is lost; look at %s",
                seconds,
                _ENDPOINT,
            )
            return False
        return True

    def close(self, seconds: float = FLUSH_SECONDS) -> None:
        """End the export and send what is left. Runs go on without it."""
        global _active
        if self._stop is None:
            return
        if _active is self:
            _active = None
        self._stop()
        self._stop = None
        atexit.unregister(self.close)
        self._observer.close()
        self.flush(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _send(self) -> None:
        for provider in self._providers:
            if (flush := getattr(provider, "force_flush", None)) is not None:
                flush()


class _Counted:
    """Counts the spans that exporters could not deliver."""

    def __init__(self) -> None:
        self.lost = 0

    def exporter(self, inner: SpanExporter) -> SpanExporter:
        """Return an exporter that does what another does and counts what that fails to deliver."""
        from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

        counted = self

        class Counting(SpanExporter):
            def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
                result = inner.export(spans)
                counted.lost += len(spans) if result is not SpanExportResult.SUCCESS else 0
                return result

            def shutdown(self) -> None:
                inner.shutdown()

            def force_flush(self, timeout_millis: int = 30000) -> bool:
                return inner.force_flush(timeout_millis)

        return Counting()


_counted = _Counted()
"""For the whole process, as a provider that was made is there until its end."""


def _tracers() -> TracerProvider:
    """Return the program's provider of tracers, or make it one."""
    from opentelemetry import trace

    if not isinstance(there := trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return there
    made = _own_tracers()
    trace.set_tracer_provider(made)
    return made


def _own_tracers() -> OwnTracerProvider:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from orchestra.telemetry.spans import TurnIds

    exporters = _exporters("traces")
    made = TracerProvider(resource=_resource(), id_generator=TurnIds(), shutdown_on_exit=False)
    for exporter in exporters:
        made.add_span_processor(BatchSpanProcessor(_counted.exporter(exporter)))
    return made


def _meters(*, given: bool) -> MeterProvider:
    """Return the program's provider of meters, or make it one, unless it keeps its spans for itself."""
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider

    there = metrics.get_meter_provider()
    if given or isinstance(there, MeterProvider):
        return there
    made = _own_meters()
    metrics.set_meter_provider(made)
    return made


def _own_meters() -> OwnMeterProvider:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    readers = [PeriodicExportingMetricReader(exporter) for exporter in _exporters("metrics")]
    return MeterProvider(readers, resource=_resource(), shutdown_on_exit=False)


def _exporters(signal: str) -> list[Any]:
    """Return the exporters that the environment names for traces or metrics: OTLP over HTTP by default.

    Raises:
        ConfigurationError: One is not installed.
    """
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    protocol = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL") or os.environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL", ""
    )
    otlp = "otlp_proto_grpc" if protocol.strip() == "grpc" else "otlp_proto_http"
    known = {each.name: each for each in entry_points(group=f"opentelemetry_{signal}_exporter")}
    made = []
    for told in (os.environ.get(variable) or "otlp").split(","):
        name = otlp if told.strip() == "otlp" else told.strip()
        if name in ("", "none"):
            continue
        if name not in known:
            why = f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}" if name == otlp else f"{variable} is {told!r}"
            raise ConfigurationError(f"telemetry: {why}; expected one of {', '.join(sorted(known))}, or none")
        made.append(known[name].load()())
    return made


def _resource() -> Resource:
    """Return what sends this: by OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, else by our name."""
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource

    told = Resource.create()
    unnamed = str(told.attributes.get(SERVICE_NAME, "")).startswith("unknown_service")
    return told.merge(Resource({SERVICE_NAME: "orchestra"})) if unnamed else told


def _version() -> str:
    from importlib.metadata import version

    return version("orchestra-agents")
