"""PDF by page and Word by paragraph."""

from __future__ import annotations

import io
import logging
import re
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from state.errors import DocumentError
from tools.readers.outline import Outline
from tools.readers.section import Block, Document, renumbered

if TYPE_CHECKING:
    from docx.table import Table
    from pypdf import PdfReader

_MOST_PAGES = 5_000
_MOST_UNPACKED = 200_000_000  # bytes; a Word file is a zip archive, and a small one can unpack to anything
_HYPHENATED = re.compile(r"(?<=[a-z])-\n(?=[a-z])")
_LEADERS = re.compile(r"(?:[ \t]*\.){5,}[ \t]*")  # dots that lead the eye to a page number
_WORD_HEADING = re.compile(r"(?:Heading|heading) (\d)")


def read_pdf(data: bytes) -> Document:
    """Read a PDF into sections by its bookmarks, blocks by page.

    Raises:
        DocumentError: It needs a password, or holds no text.
    """
    from pypdf import PdfReader

    # Without a handler, Python prints the library's remarks on damaged files to stderr.
    logging.getLogger("pypdf").addHandler(logging.NullHandler())
    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise DocumentError("needs a password; save a copy without one")
    bookmarks = _bookmarks(reader)
    outline, starts, line = Outline(), [], 1
    for number, page in enumerate(reader.pages[:_MOST_PAGES], 1):
        text = _LEADERS.sub(" … ", _HYPHENATED.sub("", page.extract_text() or ""))
        starts.append(line)
        line = _collect_page(text.splitlines(), line, bookmarks.get(number, []), outline)
    sections = renumbered(outline.sections(), starts)
    if not sections:
        raise DocumentError("holds no text, perhaps scanned pages; run text recognition (OCR) on it first")
    title = reader.metadata.title if reader.metadata else None
    return Document(str(title or outline.title), "page", sections)


def _collect_page(lines: list[str], line: int, bookmarks: list[tuple[int, str]], outline: Outline) -> int:
    """Add a page to the outline, a heading where the title of a bookmark stands; returns the next page's first line."""
    waiting = list(bookmarks)
    for number, text in enumerate(lines, line):
        if waiting and _letters(text).endswith(_letters(waiting[0][1])[-60:]):
            outline.heading(*waiting.pop(0))
        outline.line(number, text)
    outline.line(line + len(lines), "")
    for bookmark in waiting:  # Its title is not on the page in so many words.
        outline.heading(*bookmark)
    return line + len(lines) + 1


def _letters(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def read_word(data: bytes) -> Document:
    """Read a Word file (.docx) into sections by heading; tables become rows of cells.

    Raises:
        DocumentError: It is not a Word file, or unpacks to more than 200 MB.
    """
    import docx
    from docx.text.paragraph import Paragraph

    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise DocumentError("is not a .docx file (old .doc files are not read; save it as .docx)")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _MOST_UNPACKED:
            raise DocumentError("unpacks to more than 200 MB")
    document = docx.Document(io.BytesIO(data))
    outline = Outline()
    number = 0
    for item in document.iter_inner_content():
        number += 1
        if not isinstance(item, Paragraph):
            outline.block(Block("\n".join(_rows(item)), number, number))
            continue
        style = str(item.style.name) if item.style else ""
        level = 0 if style == "Title" else int(match[1]) if (match := _WORD_HEADING.match(style)) else None
        if level is not None and item.text.strip():
            outline.heading(level, item.text.strip(), number)
        else:
            text = f"- {item.text}" if style.startswith("List") else item.text
            outline.block(Block(text, number, number))
    title = document.core_properties.title or outline.title
    return Document(title, "paragraph", outline.sections())


def _rows(table: Table) -> Iterator[str]:
    for row in table.rows:
        yield " | ".join(cell.text.strip() for cell in row.cells)


def _bookmarks(reader: PdfReader) -> dict[int, list[tuple[int, str]]]:
    """Map page numbers to level and title of the bookmarks that lead there; {} when the outline is damaged."""
    found: dict[int, list[tuple[int, str]]] = {}

    def collect(entries: list[Any], level: int) -> None:
        for entry in entries:
            if isinstance(entry, list):
                collect(entry, level + 1)
                continue
            page = reader.get_destination_page_number(entry)
            if page is not None and page >= 0:
                found.setdefault(page + 1, []).append((level, str(entry.title).strip()))

    try:
        collect(reader.outline, 1)
    except Exception:  # noqa: BLE001 - a damaged outline can raise anything, and the pages may still be good
        return {}
    return found
