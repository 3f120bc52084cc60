"""The report of a research: numbered references, the passages quoted, and what is missing said in so many words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nodes.research.citations import UNSUPPORTED, number_citations
from tools.passage import Passage


def write_report(
    question: str, draft: str, sources: Sequence[Passage], gaps: Sequence[str]
) -> tuple[str, list[dict[str, Any]]]:
    """Return the report as Markdown, and its references as `{number, id, source, heading, place, text}`.

    Args:
        question: What was asked; the title unless the draft has one.
        draft: Text with passage ids as citations.
        sources: Passages that may be cited.
        gaps: What is missing, one sentence each.
    """
    text, cited = number_citations(draft.strip(), sources)
    parts = [] if text.startswith("# ") else [f"# {question}"]
    parts.append(text or "The documents do not answer this question.")
    if UNSUPPORTED in text:
        parts.append(f"Statements marked {UNSUPPORTED} are not borne out by the passages they cite.")
    if gaps:
        parts.append("## What is missing\n\n" + "\n".join(f"- {gap}" for gap in gaps))
    if cited:
        parts.append("## References\n\n" + "\n\n".join(_reference(i + 1, passage) for i, passage in enumerate(cited)))
    references = [{"number": i + 1, **passage.model_dump(exclude={"score"})} for i, passage in enumerate(cited)]
    return "\n\n".join(parts) + "\n", references


def _reference(number: int, passage: Passage) -> str:
    where = ", ".join(part for part in (f"`{passage.source}`", passage.heading, passage.place) if part)
    quoted = "\n".join(f"> {line}".rstrip() for line in passage.text.strip().splitlines())
    return f"**[{number}]** {where}\n\n{quoted}"
