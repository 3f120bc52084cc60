"""The standard variables of OpenTelemetry, by which the command and the server export without a line of code.

With the extra `otel` and one of these set, every run is exported:

    OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318
    OTEL_TRACES_EXPORTER=otlp, console, none, or any exporter that is installed; OTEL_METRICS_EXPORTER likewise
"""

from __future__ import annotations

import logging
import os

from state.errors import ConfigurationError

_WANTED = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
)

_log = logging.getLogger(__name__)


def is_told() -> bool:
    """Whether the environment's variables ask for an export."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    told = (os.environ.get(name, "").strip() for name in _WANTED)
    return not off and any(value not in ("", "none") for value in told)


def instrument_as_told() -> None:
    """Export what the environment's variables ask for, if they do. What is wrong with them is logged, and ends nothing."""
    if not is_told():
        return
    from orchestra.telemetry.exporting import instrument, is_active

    if is_active():
        return
    quiet = logging.getLogger("opentelemetry")
    if not quiet.handlers:
        quiet.addHandler(logging.NullHandler())  # the terminal is for the run; its end says what was not taken
    try:
        instrument()
    except ConfigurationError as error:
        _log.warning("nothing is exported: %s", error)
