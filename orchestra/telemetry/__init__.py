"""OpenTelemetry: every run as a trace, for any collector that takes OTLP. Needs the extra `otel`.

from orchestra.telemetry import instrument

instrument()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from state.lazily import exported

if TYPE_CHECKING:
    from orchestra.telemetry.exporting import Telemetry as Telemetry
    from orchestra.telemetry.exporting import instrument as instrument

_HOME = {"Telemetry": "exporting", "instrument": "exporting"}

__getattr__, __dir__ = exported(__name__, _HOME)
