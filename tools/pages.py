"""Pages: what a reader sees of an HTML page, as text. Runs in a process of its own; see `tools.errand`."""

from __future__ import annotations

from tools.readers.html import read_html


def page_text(text: str, most: int) -> str:
    """Return title, headings and text of a page, at most so many characters."""
    page = read_html(text)
    parts = [f"Title: {page.title}"] if page.title else []
    seen: tuple[str, ...] = ()
    for section in page.sections:
        if section.heading != seen and section.heading:
            parts.append(f"{'#' * min(6, len(section.heading))} {section.heading[-1]}")
        seen = section.heading
        parts.extend(block.text for block in section.blocks)
    return "\n\n".join(parts)[:most]
