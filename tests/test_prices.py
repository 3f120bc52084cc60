"""Prices come from a table that ships with a package, and what is not in it has no price."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from nodes.models import describe_model, load_model
from nodes.prices import price
from nodes.scripted import ScriptedChatModel

MILLION: dict[str, Any] = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}


@pytest.mark.parametrize("name", ["openai:gpt-5-mini", "gpt-5-mini", "openai:gpt-5-mini-2025-08-07"])
def test_a_known_model_has_a_price(name: str) -> None:
    assert price(name, MILLION) == pytest.approx(2.25)


@pytest.mark.parametrize(
    "name",
    ["openai:llama3:8b", "ollama:gpt-5-mini", "nobody:gpt-5-mini", "ScriptedChatModel", "mistral", ":", "", "a:"],
)
def test_an_unknown_model_has_no_price_rather_than_none_to_pay(name: str) -> None:
    assert price(name, MILLION) is None


def test_the_embedded_engine_is_free() -> None:
    assert price(describe_model("extractive"), MILLION) == 0.0
    assert price(describe_model(load_model("extractive")), MILLION) == 0.0


def test_cached_tokens_are_cheaper() -> None:
    cached = {**MILLION, "input_token_details": {"cache_read": 900_000}}
    full, less = price("openai:gpt-5-mini", MILLION), price("openai:gpt-5-mini", cached)
    assert full is not None
    assert less is not None
    assert less < full


def test_counts_that_contradict_each_other_have_no_price() -> None:
    assert price("openai:gpt-5-mini", {"input_tokens": 1, "input_token_details": {"cache_read": 2}}) is None
    assert price("openai:gpt-5-mini", {"input_tokens": -1, "output_tokens": 1}) is None


def test_a_scripted_model_may_stand_for_one_that_costs() -> None:
    model = ScriptedChatModel(["a"], stands_for="openai:gpt-5-mini")
    assert price(describe_model(model), MILLION) == pytest.approx(2.25)


def test_a_price_needs_no_network() -> None:
    program = (
        "import socket\n"
        "def refuse(*args, **kwargs): raise AssertionError('network')\n"
        "socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse\n"
        "from nodes.prices import price\n"
        "print(price('openai:gpt-5-mini', {'input_tokens': 1000000, 'output_tokens': 0}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("0.25", "")
