"""Every notebook runs from top to bottom, offline, and gives the outputs that are committed with it.

`ORCHESTRA_UPDATE_NOTEBOOKS=1 python -m pytest tests/test_notebooks.py` writes the outputs anew.

Cells tagged `reference` quote the language reference of the running Python. Under another version than the one they were
written with, only the kinds of their outputs are compared. The same holds always for cells tagged `changes`, whose output is
another one at every run. Cells tagged `yours` hold what readers would write themselves: a tool, a server, a program.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

if find_spec("nbclient") is None or find_spec("ipykernel") is None:
    pytest.skip("needs a kernel: pip install 'orchestra-agents[notebook]'", allow_module_level=True)

import nbformat

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
UPDATE = os.environ.get("ORCHESTRA_UPDATE_NOTEBOOKS", "") not in ("", "0")
LIMIT = 30
"""Seconds that a notebook may take; a cell that takes longer is stopped there."""
AT_ONCE = 2
"""Notebooks that are executed at the same time, each in processes of its own."""
WITH_SOCKETS = {"10_your_own_model"}
"""Notebooks that start a server of their own on this machine and call it. All others run with network models forbidden."""

EXECUTE = """
import sys

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

source, target, limit = sys.argv[1:]
notebook = nbformat.read(source, as_version=4)
manager = AsyncKernelManager(kernel_name="python3", transport="ipc")
NotebookClient(notebook, km=manager, timeout=int(limit), resources={"metadata": {"path": "."}}).execute()
nbformat.write(notebook, target)
"""
"""Run in a process of its own, because the kernel's libraries warn of each other, and warnings are errors here."""

VARIES = (
    (r"0x[0-9a-f]+", "0x…"),
    (r"/(?:tmp|var|private)/[^\s'\"]+", "<folder>"),
    (r"\b(?:\d+ m )?\d+(?:\.\d+)? (?:ms|s)\b", "<time>"),
    (r"\b(margin-left|width):[\d.]+%", r"\1:<share>"),  # of the bars that say when each agent was at work
    (r"[ ─]{2,}", "  "),  # columns are as wide as the longest time in them
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<id>"),
)


def paths() -> list[Path]:
    return sorted(NOTEBOOKS.glob("*.ipynb"))


every_notebook = pytest.mark.parametrize("path", paths(), ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Any]]]:
    """Give every notebook with the outputs that it gives in an empty folder without a key, by name, when it is done."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {path.stem: pool.submit(execute, path, tmp_path_factory.mktemp(path.stem)) for path in paths()}


def execute(path: Path, folder: Path) -> Any:
    hidden = ("OPENAI_", "ORCHESTRA_", "LANGSMITH_", "LANGCHAIN_", "JUPYTER_", "IPYTHON")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    environment |= {"IPYTHONDIR": str(folder / "ipython"), "PYTHONHASHSEED": "0"}
    environment |= {} if path.stem in WITH_SOCKETS else {"ORCHESTRA_OFFLINE": "1"}
    target = folder / path.name
    command = [sys.executable, "-c", EXECUTE, str(path), str(target), str(LIMIT)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return read(target)


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat has no annotations


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell: Any) -> list[tuple[str, str]]:
    """Return what a cell shows, as `(kind, text)`, with what differs from run to run made the same."""
    parts: list[tuple[str, str]] = []
    for output in cell.outputs:
        for kind, text in parts_of(output):
            if (
                parts and parts[-1][0] == kind and output.output_type == "stream"
            ):  # sent in as many pieces as it happens
                parts[-1] = (kind, parts[-1][1] + text)
            else:
                parts.append((kind, text))
    return [(kind, same(text)) for kind, text in parts]


def parts_of(output: Any) -> Iterator[tuple[str, str]]:
    if output.output_type == "stream":
        yield output.name, output.text
    elif output.output_type == "error":
        yield "error", f"{output.ename}: {output.evalue}"
    else:
        yield from sorted((kind, str(text)) for kind, text in output.data.items())


def same(text: str) -> str:
    for pattern, replacement in VARIES:
        text = re.sub(pattern, replacement, text)
    return text


def tags_of(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", ()))


def test_there_are_ten_notebooks_in_the_order_in_which_they_are_read() -> None:
    assert [path.stem[:2] for path in paths()] == [f"{number:02}" for number in range(1, 11)]


@every_notebook
def test_a_notebook_gives_the_outputs_that_are_committed_with_it(path: Path, executed: dict[str, Future[Any]]) -> None:
    fresh = executed[path.stem].result()
    if UPDATE:
        write_outputs(path, fresh)
    kept = read(path)
    same_python = kept.metadata.language_info.version == platform.python_version()
    for before, now in zip(code_cells(kept), code_cells(fresh), strict=True):
        assert before.outputs or "yours" in tags_of(before), f"no outputs are committed for: {before.source}"
        if "changes" not in tags_of(before) and (same_python or "reference" not in tags_of(before)):
            assert shown(now) == shown(before), before.source
        else:
            assert [kind for kind, _ in shown(now)] == [kind for kind, _ in shown(before)], before.source


def write_outputs(path: Path, fresh: Any) -> None:
    """Keep a notebook's new outputs, without what would differ at every run."""
    for cell in code_cells(fresh):
        cell.metadata.pop("execution", None)  # times
    nbformat.write(fresh, path)  # type: ignore[no-untyped-call]


@every_notebook
def test_a_notebook_shows_no_errors_and_no_path_of_the_machine_it_ran_on(path: Path) -> None:
    notebook = read(path)
    outputs = [part for cell in code_cells(notebook) for output in cell.outputs for part in parts_of(output)]
    assert [text for kind, text in outputs if kind in ("error", "stderr")] == []
    for _, text in outputs:
        assert not re.search(r"/(?:home|root|work|Users|tmp|var)/", text), text


@every_notebook
def test_a_notebook_holds_calls_and_no_logic_and_tells_what_it_does(path: Path) -> None:
    notebook = read(path)
    for cell in code_cells(notebook):
        yours = "yours" in tags_of(cell)
        logic = r"^\s*(?:while|try)\b" if yours else r"^\s*(?:def|class|while|try|if|async|lambda)\b"
        assert not re.search(logic, cell.source, re.MULTILINE), cell.source
        assert len(cell.source.splitlines()) <= (35 if yours else 14), cell.source
    told = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    assert len(told) >= len(code_cells(notebook)) / 2
    assert notebook.cells[0].source.startswith("# ")


def test_a_difference_in_the_outputs_would_be_seen() -> None:
    def cell(text: str) -> Any:
        output = nbformat.v4.new_output("stream", name="stdout", text=text)  # type: ignore[no-untyped-call]
        return nbformat.v4.new_code_cell(outputs=[output])  # type: ignore[no-untyped-call]

    assert shown(cell("done in 0.12 s at /tmp/x1")) == shown(cell("done in 3 s at /tmp/y2"))
    assert shown(cell("status completed")) != shown(cell("status partial"))
    assert shown(cell("writer  3 calls  0.1 s")) == shown(cell("writer   3 calls   12 ms"))
    assert shown(cell("writer  3 calls")) != shown(cell("writer  4 calls"))
    assert shown(cell("writer  1,506 tokens")) != shown(cell("writer  1,507 tokens"))
