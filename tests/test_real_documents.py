"""The research team over hundreds of files that nobody here wrote: the source and documents of installed packages."""

from __future__ import annotations

import shutil
from importlib.metadata import distributions
from itertools import islice
from pathlib import Path

import langchain_core
import langgraph
import pytest

from graphs.teams import research
from nodes.research.citations import find_claims
from state import Context
from tools import open_corpus

FILES = 500


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with 500 files: Python source, and the long descriptions of packages as Markdown."""
    target = tmp_path_factory.mktemp("real")
    for package in (langgraph, langchain_core):
        home = Path(next(iter(package.__path__)))
        for source in sorted(home.rglob("*.py")):
            place = target / home.name / source.relative_to(home)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, place)
    described = ((d.name, d.read_text("METADATA")) for d in distributions())
    for name, text in islice(((n, t) for n, t in described if isinstance(t, str) and len(t) > 500), 200):
        (target / f"{name}.md").write_text(text)
    extra = sorted(Path(next(iter(langchain_core.__path__))).parent.glob("langsmith/**/*.py"))
    missing = FILES - sum(1 for path in target.rglob("*") if path.is_file())
    for number, source in enumerate(extra[: max(0, missing)]):
        shutil.copy(source, target / f"langsmith_{number}_{source.name}")
    return target


def test_there_are_hundreds_of_files_and_all_are_readable(folder: Path) -> None:
    assert sum(1 for path in folder.rglob("*") if path.is_file()) >= FILES
    with open_corpus(folder) as corpus:
        assert corpus.report.skipped == []


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("What does GraphInterrupt mean?", "interrupt"),
        ("How does a DeltaChannel store its state?", "channel"),
        ("What does RunnableLambda do, and how does it differ from RunnableGenerator?", "runnable"),
        ("How are tool calls parsed from an AI message?", "tool"),
    ],
)
def test_every_citation_resolves_to_a_passage_that_says_so(folder: Path, question: str, word: str) -> None:
    result = research.graph.invoke({"task": question}, context=Context(corpus=str(folder)))
    body, _, _ = result["answer"].partition("## References")
    references = result["structured"]["references"]
    assert result["status"] == "completed"
    assert word in body.casefold()
    assert references
    assert result["structured"]["unsupported"] == []
    with open_corpus(folder) as corpus:
        for reference in references:
            passage = corpus.find(reference["id"])
            assert passage is not None
            assert passage.text == reference["text"]
            assert (folder / reference["source"]).is_file()
    numbers = {f"[{reference['number']}]" for reference in references}
    assert all(number in body for number in numbers)
    assert "[p:" not in result["answer"]
    assert find_claims(body)


@pytest.mark.parametrize(
    "question",
    ["What is the boiling point of tungsten?", "Who composed the opera Fidelio?", "Wie hoch ist die Zugspitze?"],
)
def test_a_question_without_an_answer_there_is_answered_with_an_abstention(folder: Path, question: str) -> None:
    result = research.graph.invoke({"task": question}, context=Context(corpus=str(folder)))
    assert "The documents do not answer" in result["answer"]
    assert result["structured"]["references"] == []
