"""An outline under construction: readers announce headings and lines, and get sections."""

from __future__ import annotations

from tools.readers.section import Block, Section, blocks_of


class Outline:
    """Collects lines and blocks under the heading they follow."""

    def __init__(self) -> None:
        self.title = ""
        self._path: list[tuple[int, str]] = []
        self._bare = 0  # The line of the last heading while nothing stands under it.
        self._lines: list[str] = []
        self._first = 1
        self._blocks: list[Block] = []
        self._sections: list[Section] = []

    def heading(self, level: int, title: str, number: int = 0) -> None:
        """Begin a section; it ends every section of the same or a deeper level.

        Args:
            level: Lower is further out.
            title: The heading's text.
            number: Its line, when it is not announced as a line too. If nothing follows it, it is a text of its own.
        """
        self._end_section()
        self.leave(level)
        self._path.append((level, title))
        self._bare = number
        self.title = self.title or title

    def leave(self, level: int) -> None:
        """End every section of this level or a deeper one."""
        if not self._path or self._path[-1][0] < level:
            return
        self._end_section()
        if self._bare:
            self._sections.append(Section(self._headings(), [Block(self._path[-1][1], self._bare, self._bare)]))
            self._bare = 0
        while self._path and self._path[-1][0] >= level:
            self._path.pop()

    def line(self, number: int, text: str) -> None:
        """Add a line; a blank one ends a block."""
        if not self._lines:
            self._first = number
        self._lines.append(text)

    def block(self, block: Block) -> None:
        """Add a block whole, blank lines and all."""
        self._end_block()
        if block.text.strip():
            self._blocks.append(block)

    def sections(self) -> list[Section]:
        """Return everything collected; the outline is closed."""
        self._end_section()
        self.leave(0)
        return self._sections

    def _headings(self) -> tuple[str, ...]:
        return tuple(heading for _, heading in self._path)

    def _end_block(self) -> None:
        self._blocks.extend(blocks_of(self._lines, self._first))
        self._lines = []

    def _end_section(self) -> None:
        self._end_block()
        if self._blocks:
            self._sections.append(Section(self._headings(), self._blocks))
            self._bare = 0
        self._blocks = []
