"""Python source: sections by class and function, found in the syntax tree."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator

from tools.readers.plain import read_code
from tools.readers.section import Document, Section, blocks_of

_Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def read_python(text: str) -> Document:
    """Read Python source; source of another version, which does not parse, is read line by line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # What is deprecated in a file that is only read concerns nobody here.
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return read_code(text, "rb")
    lines = text.split("\n")
    starts: dict[int, tuple[str, ...]] = {1: ()} | dict(_starts(tree.body, lines, ()))
    numbers = sorted(starts)
    sections = [
        Section(starts[first], blocks_of(lines[first - 1 : after - 1], first))
        for first, after in zip(numbers, [*numbers[1:], len(lines) + 1], strict=True)
    ]
    title = (ast.get_docstring(tree) or "").partition("\n")[0]
    return Document(title, "line", [section for section in sections if section.blocks])


def _starts(body: Iterable[ast.stmt], lines: list[str], path: tuple[str, ...]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the lines at which the heading changes: where definitions begin, and after their ends."""
    for node in body:
        if isinstance(node, _Definition):
            heading = (*path, f"{'class' if isinstance(node, ast.ClassDef) else 'def'} {node.name}")
            yield _first_line(node, lines), heading
            if isinstance(node, ast.ClassDef):
                yield from _starts(node.body, lines, heading)
            # After what is nested: a class and its last method end on the same line, and the class is the outer one.
            yield (node.end_lineno or node.lineno) + 1, path


def _first_line(node: _Definition, lines: list[str]) -> int:
    """Return the line of the first decorator, or of the comment right above it."""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    while first > 1 and lines[first - 2].lstrip().startswith("#"):
        first -= 1
    return first
