"""Three small documents that corpora are tested with."""

from __future__ import annotations

from pathlib import Path

from tools import Corpus

FILLER = "Nothing in this sentence is about insects, and it is long enough to fill a passage. " * 5


def write_docs(folder: Path) -> Path:
    """Write Markdown with three sections, a text and some Python: five passages."""
    folder.mkdir()
    (folder / "bees.md").write_text(
        f"# Bees\n\n{FILLER}\n\n## Queens\n\nA queen lays 2000 eggs a day.\n{FILLER}\n\n## Drones\n\nDrones lay none.\n{FILLER}\n"
    )
    (folder / "ants.txt").write_text("Ants have queens too.\n\nThey live for years.\n")
    (folder / "hive.py").write_text("class HiveScale:\n    def weigh_hive(self):\n        return self._grams\n")
    return folder


def found(corpus: Corpus, query: str, limit: int = 3) -> list[str]:
    """List source and heading of what a search finds."""
    return [f"{passage.source}#{passage.heading}" for passage in corpus.search(query, limit=limit)]
