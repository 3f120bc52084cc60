"""How well the extractive engine finds, quotes and abstains: `python -m benchmarks.retrieval_eval [--development] [--answers]`.

The documents are the long descriptions of packages that Orchestra depends on, and the language reference that ships with
Python: nobody here wrote them. `retrieval_questions.json` holds two sets of questions over different documents. Thresholds
were set with the development set; the held-out set was written before its first measurement, in a person's words, not the
documents', and nothing was tuned on it.

What is measured, with the engine's own searches through the corpus tools:

- recall@3: one of the facts is in the three best passages, by the engine's ranking of all that its searches found;
  recall@3 of the first search: in the first three hits of the first query alone;
- answered: one of the facts stands in the answer's quotes;
- false abstentions: the engine says that the documents do not answer, and they do;
- abstentions: it says so for questions that the documents do not answer.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import NamedTuple

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from benchmarks.results import Row, table
from nodes.engine.material import Material
from nodes.engine.phrases import says_nothing
from nodes.engine.request import read_request
from nodes.engine.words import plain
from nodes.extractive import ExtractiveChatModel
from tools.corpus import Corpus, open_corpus
from tools.corpus_tools import create_corpus_tools
from tools.passage import parse_passages

TITLE = "Retrieval"
PROMISE = "recall@3 at least 0.85, abstention at least 0.8, false abstention at most 0.1, on questions that were not tuned on."

QUESTIONS = Path(__file__).with_name("retrieval_questions.json")
_ENDINGS = {"text/markdown": ".md", "text/x-rst": ".rst"}
_MOST_TURNS = 8


class Case(NamedTuple):
    """A question; `facts` are alternatives, empty when the documents do not answer it."""

    corpus: str
    question: str
    facts: tuple[str, ...]


class Asked(NamedTuple):
    """What came of a question: was a fact found, ranked and quoted, and did the engine abstain."""

    case: Case
    answer: str
    first: bool
    ranked: bool
    quoted: bool
    abstained: bool


class Figures(NamedTuple):
    """Shares from 0 to 1 over a set of questions."""

    recall: float
    first_recall: float
    answered: float
    false_abstentions: float
    abstentions: float
    asked: list[Asked]


def load_cases(part: str) -> list[Case]:
    """Read the questions of a part, `held_out` or `development`."""
    read = json.loads(QUESTIONS.read_text(encoding="utf-8"))[part]
    rows = [*read["answerable"], *read["unanswerable"]]
    return [Case(row["corpus"], row["question"], tuple(row.get("facts", ()))) for row in rows]


@contextmanager
def open_corpora(part: str) -> Iterator[dict[str, Corpus]]:
    """Open the documents of a part: the descriptions of its packages, and the language reference."""
    names = json.loads(QUESTIONS.read_text(encoding="utf-8"))["packages"][part].split()
    with tempfile.TemporaryDirectory() as folder:
        documents = Path(folder, "documents")
        documents.mkdir()
        for name in names:
            _write_description(name, documents)
        with (
            open_corpus(documents, index=Path(folder, "packages.db")) as packages,
            open_corpus(None, index=Path(folder, "python.db")) as python,
        ):
            yield {"packages": packages, "python": python}


def ask(case: Case, corpus: Corpus) -> Asked:
    """Let the engine answer a question with the corpus tools, as an agent would."""
    tools = {tool.name: tool for tool in create_corpus_tools(corpus)}
    model = ExtractiveChatModel().bind_tools(list(tools.values()))
    messages: list[BaseMessage] = [HumanMessage(case.question)]
    for _ in range(_MOST_TURNS):
        reply = model.invoke(messages)
        messages.append(reply)
        if not reply.tool_calls:
            break
        messages += [tools[call["name"]].invoke(call) for call in reply.tool_calls]
    results = [message.text for message in messages if isinstance(message, ToolMessage)]
    ranked = Material(read_request(messages[:-1])).evidence.best_sources[:3]
    hits = parse_passages(results[0])[:3] if results else []
    answer = messages[-1].text if isinstance(messages[-1], AIMessage) else ""
    return Asked(
        case,
        answer,
        first=any(_holds(passage.text, case) for passage in hits),
        ranked=any(_holds(source.text, case) for source in ranked),
        quoted=_holds(answer, case),
        abstained=says_nothing(answer.split("\n\n")[0]),
    )


def measure_part(part: str) -> Figures:
    """Ask every question of a part."""
    with open_corpora(part) as corpora:
        asked = [ask(case, corpora[case.corpus]) for case in load_cases(part)]
    known = [item for item in asked if item.case.facts]
    unknown = [item for item in asked if not item.case.facts]
    return Figures(
        recall=_share([item.ranked for item in known]),
        first_recall=_share([item.first for item in known]),
        answered=_share([item.quoted for item in known]),
        false_abstentions=_share([item.abstained for item in known]),
        abstentions=_share([item.abstained for item in unknown]),
        asked=asked,
    )


def measure(parts: tuple[str, ...] = ("held_out", "development")) -> list[Row]:
    """Return a row of shares for each part."""
    return [_row(part, measure_part(part)) for part in parts]


def _row(part: str, figures: Figures) -> Row:
    return {
        "questions": part.replace("_", "-"),
        "recall@3": round(figures.recall, 2),
        "first search": round(figures.first_recall, 2),
        "answered": round(figures.answered, 2),
        "false abstentions": round(figures.false_abstentions, 2),
        "abstentions": round(figures.abstentions, 2),
    }


def _write_description(name: str, folder: Path) -> None:
    """Write a package's long description as a document; an optional package that is not installed is left out."""
    try:
        found = metadata(name)
    except PackageNotFoundError:
        return
    fields: Mapping[str, str] = found.json  # type: ignore[assignment]  # values are strings for these keys
    text = fields.get("description") or ""
    kind = fields.get("description_content_type", "").split(";")[0]
    if text.strip():
        folder.joinpath(name + _ENDINGS.get(kind, ".txt")).write_text(text, encoding="utf-8")


def _holds(text: str, case: Case) -> bool:
    return any(plain(fact).lower() in plain(text).lower() for fact in case.facts)


def _share(flags: list[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0


def main(arguments: list[str] | None = None) -> None:
    """Print the figures, and with `--answers` every question with its answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--development", action="store_true", help="ask the questions that thresholds were set with")
    parser.add_argument("--answers", action="store_true", help="print every answer")
    given = parser.parse_args(arguments)
    part = "development" if given.development else "held_out"
    figures = measure_part(part)
    if given.answers:
        for item in figures.asked:
            marks = "".join(
                mark if on else "-"
                for mark, on in (("F", item.first), ("R", item.ranked), ("Q", item.quoted), ("A", item.abstained))
            )
            print(f"{marks} {item.case.question}\n\n{item.answer}\n")
    print(table([_row(part, figures)]))


if __name__ == "__main__":
    main(sys.argv[1:])
