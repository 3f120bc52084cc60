"""What a call costs, from the table of prices that ships with genai-prices: offline, and as fresh as that package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodes.models import ENGINE, ENGINE_LABEL

_FREE = frozenset({ENGINE, ENGINE_LABEL, "ExtractiveChatModel", "runbook rules (not a language model)"})


def price(model_name: str, usage: Mapping[str, Any]) -> float | None:
    """Return the price of a call in US dollars; None when it is not known, never 0 for want of one.

    Args:
        model_name: As `describe_model` gives it: `provider:model`, or a bare name.
        usage: `input_tokens`, all of them, and `output_tokens`; of a model's `usage_metadata` the cached and the spoken
            tokens are priced apart.
    """
    if model_name in _FREE:
        return 0.0
    from genai_prices import Usage, calc_price

    provider, colon, name = model_name.partition(":")
    try:
        counted = Usage(**_counts(usage))
        if colon:
            return float(calc_price(counted, name, provider_id=provider).total_price)
        return float(calc_price(counted, model_name).total_price)
    except LookupError:
        return None
    except ValueError:  # counts that contradict each other, such as more cached tokens than tokens
        return None


def _counts(usage: Mapping[str, Any]) -> dict[str, int]:
    """Return the counts that are not zero, under the names of the table."""
    given, taken = usage.get("input_token_details") or {}, usage.get("output_token_details") or {}
    counts = {
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        "cache_read_tokens": given.get("cache_read"),
        "cache_write_tokens": given.get("cache_creation"),
        "cache_write_5m_tokens": given.get("ephemeral_5m_input_tokens"),
        "cache_write_1h_tokens": given.get("ephemeral_1h_input_tokens"),
        "input_audio_tokens": given.get("audio"),
        "output_audio_tokens": taken.get("audio"),
    }
    return {name: count for name, count in counts.items() if count}
