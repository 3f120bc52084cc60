"""What a place may be called, and what is never said about it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from state.errors import ConfigurationError, StorageUnavailable
from state.persistence import open_persistence


@pytest.mark.parametrize(
    "url",
    [
        "runs.txt",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "mysql://host/db",
        "",
        "sqlite:/runs.db",
        "http://x.db",
    ],
)
def test_another_url_is_refused_with_the_forms_that_are_accepted(url: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"sqlite:///relative\.db.*sqlite:////absolute\.db.*memory:.*postgresql://"
    ):
        open_persistence(url)


@pytest.mark.parametrize("query", ["synchronous=OFF", "timeout=soon", "mode=ro", "timeout=-1"])
def test_an_unknown_setting_is_refused(query: str) -> None:
    with pytest.raises(ConfigurationError, match="synchronous=NORMAL or FULL"):
        open_persistence(f"sqlite:///runs.db?{query}")


def test_three_slashes_are_relative_and_four_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    places = {
        "sqlite:///a/runs.db": tmp_path / "a" / "runs.db",
        f"sqlite:///{tmp_path}/b.db": tmp_path / "b.db",
        "c.db": tmp_path / "c.db",
    }
    for url, path in places.items():
        with open_persistence(url) as persistence:
            assert persistence.location == str(path.resolve())
        assert path.is_file()
    with open_persistence(tmp_path / "no-ending") as persistence:
        assert persistence.location.endswith("no-ending")


def test_naming_a_place_touches_nothing(tmp_path: Path) -> None:
    open_persistence(tmp_path / "folder" / "runs.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2@127.0.0.1:1/db",
        "postgresql://127.0.0.1:1/db?user=user&password=hunter2",
        "postgresql://user:p%40hunter2@127.0.0.1:1/db",
    ],
)
def test_a_password_is_in_no_message(url: str) -> None:
    pytest.importorskip("psycopg")
    persistence = open_persistence(url)
    with pytest.raises(StorageUnavailable) as caught:
        persistence.checkpointer  # noqa: B018 - opens
    fault = caught.value
    shown = f"{fault!r} {fault} {fault.location} {persistence!r} {persistence.url} {persistence.location}"
    assert "hunter2" not in shown
    assert fault.remedy
    assert fault.__cause__ is None


def test_a_postgres_url_that_cannot_be_read_is_refused_without_quoting_it() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(ConfigurationError) as caught, open_persistence("postgresql://user:%zzhunter2@host/db"):
        pass
    assert "hunter2" not in str(caught.value)


def test_a_missing_postgres_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "state.storage.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    remedy = r'pip install "orchestra-agents\[postgres\]"'
    with pytest.raises(ConfigurationError, match=remedy), open_persistence("postgresql://localhost/db"):
        pass
