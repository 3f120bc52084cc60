"""The mark of a value that nothing in the request tells."""

from __future__ import annotations

from typing import Final

UNKNOWN: Final = object()
"""Neither null nor empty: whoever meets it decides what is honest there."""
