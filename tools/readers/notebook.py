"""Jupyter notebooks: Markdown and code cells under the headings of the Markdown; outputs are left out."""

from __future__ import annotations

import json
from typing import Any

from tools.readers.markdown import collect_markdown
from tools.readers.outline import Outline
from tools.readers.section import Block, Document, renumbered


def read_notebook(text: str) -> Document:
    """Read a notebook of format 3 or 4 into sections by heading, blocks by cell.

    Raises:
        ValueError: It is not JSON, or JSON that is not a notebook.
    """
    outline, starts, line = Outline(), [], 1
    for cell in _cells(json.loads(text)):
        source = cell.get("source", cell.get("input", ""))
        lines = (source if isinstance(source, str) else "".join(source)).split("\n")
        starts.append(line)
        if cell.get("cell_type") == "markdown":
            collect_markdown(lines, outline, first=line)
        else:
            outline.block(Block("\n".join(lines), line, line))
        outline.line(line + len(lines), "")
        line += len(lines) + 1
    return Document(outline.title, "cell", renumbered(outline.sections(), starts))


def _cells(notebook: Any) -> list[dict[str, Any]]:
    if isinstance(notebook, dict):
        sheets = notebook.get("worksheets") or [notebook]
        cells = [cell for sheet in sheets for cell in sheet.get("cells", ())]
        if cells or "cells" in notebook:
            return cells
    raise ValueError("not a notebook: expected a JSON object with cells")
