"""How fast a corpus is read and searched: `python -m benchmarks.corpus_speed [--files 20000] [--folder DOCUMENTS]`.

The folder is generated, prose and code; words follow Zipf's law, as in real text, so that searches meet common words
and rare ones. The defaults take seconds; 20,000 files are 200 MB. Searches are of two to five words, drawn as the text's are.

Parsing alone is measured in the same run as the whole: what is above it is the price of the index.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import accumulate, islice
from pathlib import Path
from statistics import median, quantiles

from benchmarks.results import Row, table
from tools.corpus import Corpus, open_corpus
from tools.documents import Skipped
from tools.retrieval.sources import Folder
from tools.retrieval.updating import parse_file
from tools.retrieval.words import content_words

TITLE = "Corpus"
PROMISE = (
    "First index in less than 1.5 x the time of parsing alone; searches under 50 ms (p99) at 20,000 files or 200 MB."
)

_VOCABULARY = 60_000
_SYLLABLES = [consonant + vowel for consonant in "bcdfglmnprstvz" for vowel in "aeiou"]
_LITTLE = "the of and to a in is that for it as was with be by on not this are or from at which but have an"
_LITTLE_WORDS = _LITTLE.split()


class Prose:
    """Text of made-up words, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._words = list(dict.fromkeys(islice(self._made(), _VOCABULARY)))
        self._weights = list(accumulate(1 / (rank + 10) for rank in range(len(self._words))))

    def words(self, count: int) -> list[str]:
        return self._random.choices(self._words, cum_weights=self._weights, k=count)

    def sentence(self) -> str:
        pairs = zip(self.words(9), self._random.choices(_LITTLE_WORDS, k=9), strict=True)
        return " ".join(word for pair in pairs for word in pair).capitalize() + "."

    def paragraph(self) -> str:
        return " ".join(self.sentence() for _ in range(self.one_of(2, 3, 5)))

    def title(self) -> str:
        return " ".join(self.words(3)).title()

    def one_of(self, *choices: int) -> int:
        return self._random.choice(choices)

    def _made(self) -> Iterator[str]:
        while True:
            yield "".join(self._random.choices(_SYLLABLES, k=self.one_of(2, 3, 3, 4)))


def _markdown(prose: Prose) -> Iterator[str]:
    yield f"# {prose.title()}\n"
    while True:
        yield f"\n{'#' * prose.one_of(2, 2, 3)} {prose.title()}\n"
        for _ in range(prose.one_of(1, 2, 4)):
            yield f"\n{prose.paragraph()}\n"
        yield f"\n```python\n{'_'.join(prose.words(2))}({', '.join(prose.words(3))})\n```\n"


def _restructured(prose: Prose) -> Iterator[str]:
    while True:
        title = prose.title()
        yield f"\n{title}\n{'=' * len(title)}\n\n{prose.paragraph()}\n\n{prose.paragraph()}\n"


def _html(prose: Prose) -> Iterator[str]:
    yield f"<html><head><title>{prose.title()}</title></head><body><nav>menu</nav>\n"
    while True:
        yield f"<h2>{prose.title()}</h2>\n<p>{prose.paragraph()}</p>\n<ul><li>{prose.sentence()}</li></ul>\n"


def _python(prose: Prose) -> Iterator[str]:
    yield f'"""{prose.sentence()}"""\n\nimport {prose.words(1)[0]}x\n'
    while True:
        method = "_".join(prose.words(2))
        yield f'\n\nclass {prose.title().replace(" ", "")}:\n    """{prose.sentence()}"""\n'
        for number in range(prose.one_of(1, 3, 5)):
            body = "".join(f"        self.{word}_ = {method}({word!r})\n" for word in prose.words(6))
            yield f'\n    def {method}_{number}(self, {prose.words(1)[0]}_):\n        """{prose.sentence()}"""\n{body}'


_KINDS: tuple[tuple[str, Callable[[Prose], Iterator[str]]], ...] = (
    ("md", _markdown),
    ("py", _python),
    ("rst", _restructured),
    ("html", _html),
    ("py", _python),
    ("md", _markdown),
)


def write_tree(folder: Path, files: int, mean_bytes: int) -> None:
    """Write a folder of Markdown, reStructuredText, HTML and Python, a hundred files in a folder."""
    prose = Prose(1)
    for number in range(files):
        suffix, parts = _KINDS[number % len(_KINDS)]
        wanted = mean_bytes * prose.one_of(1, 2, 4, 9) // 4
        text = ""
        for part in parts(prose):
            text += part
            if len(text) > wanted:
                break
        path = folder / f"part{number // 100:04d}" / f"{'-'.join(prose.words(2))}-{number}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def measure(
    *, files: int = 600, mean_bytes: int = 10_000, searches: int = 200, folder: Path | None = None
) -> list[Row]:
    """Return one row: sizes, seconds of parsing alone, of the first and of an unchanged index, milliseconds of searches."""
    with tempfile.TemporaryDirectory() as place:
        documents = folder or Path(place, "documents")
        if not folder:
            write_tree(documents, files, mean_bytes)
        index = Path(place, "index.db")
        parsing, size = _parse(documents)
        first, corpus = _open(documents, index)
        corpus.close()
        again, corpus = _open(documents, index)
        with corpus:
            taken = sorted(_search(corpus, searches))
            count = corpus.count
        return [
            {
                "files": count.documents,
                "MB": round(size / 1e6),
                "passages": count.passages,
                "index MB": round(index.stat().st_size / 1e6),
                "parse s": round(parsing, 1),
                "total s": round(first, 1),
                "x parse": round(first / parsing, 2),
                "unchanged s": round(again, 2),
                "search p50 ms": round(median(taken), 1),
                "p99 ms": round(quantiles(taken, n=100)[98], 1),
            }
        ]


def _parse(documents: Path) -> tuple[float, int]:
    """Read and cut every document, and keep nothing; returns seconds and bytes."""
    started, size = time.perf_counter(), 0
    source = Folder(documents)
    for file in source.find():
        if not isinstance(file, Skipped):
            parse_file(file, source.load(file), "")
            size += file.size
    return time.perf_counter() - started, size


def _open(documents: Path, index: Path) -> tuple[float, Corpus]:
    started = time.perf_counter()
    corpus = open_corpus(documents, index=index)
    return time.perf_counter() - started, corpus


def _search(corpus: Corpus, searches: int) -> Iterator[float]:
    """Yield the milliseconds of searches for words that passages of the corpus hold, as often as they hold them."""
    drawn = random.Random(2)
    sources = [entry.source for entry in corpus.documents()]
    for _ in range(searches):
        title = Path(drawn.choice(sources)).stem.replace("-", " ")
        known = corpus.search(title, limit=1)
        words = content_words(known[0].text if known else title) or [title]
        query = " ".join(drawn.sample(words, min(len(words), drawn.randint(2, 5))))
        started = time.perf_counter()
        corpus.search(query)
        yield (time.perf_counter() - started) * 1000


def main(arguments: list[str] | None = None) -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=600, help="how many files to generate, 600 by default")
    parser.add_argument("--mean-bytes", type=int, default=10_000, help="their mean size, 10,000 by default")
    parser.add_argument("--searches", type=int, default=200, help="how many searches, 200 by default")
    parser.add_argument("--folder", type=Path, help="documents to read instead of generated ones")
    given = parser.parse_args(arguments)
    print(table(measure(files=given.files, mean_bytes=given.mean_bytes, searches=given.searches, folder=given.folder)))


if __name__ == "__main__":
    main(sys.argv[1:])
