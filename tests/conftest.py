"""What every test stands on: no key, no network model, a folder of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def offline(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep tests from the network and from each other's files. `loopback` tests may load models that use sockets."""
    keys = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ORCHESTRA_MODEL", "LANGSMITH_TRACING")
    for name in (*keys, "NO_COLOR", "COLUMNS", "LINES"):  # pytest-xdist says that a terminal has 80 columns
        monkeypatch.delenv(name, raising=False)
    if request.node.get_closest_marker("loopback") is None:
        monkeypatch.setenv("ORCHESTRA_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
