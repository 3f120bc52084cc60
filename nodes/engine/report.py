"""The report: quotes composed to a document, and a draft revised sentence by sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from nodes.engine.answer import cite, render, unseen, write_answer
from nodes.engine.evidence import Evidence, Quote
from nodes.engine.limits import Limit, limits_in, measure
from nodes.engine.material import Material, Part
from nodes.engine.phrases import unsaid
from nodes.engine.question import Question, title
from nodes.engine.request import Source
from nodes.engine.selection import choose, excerpts
from nodes.engine.sentences import sentences, units
from nodes.engine.support import bare, is_verbatim
from nodes.engine.words import heads, key_terms, plain

REPLACES = 0.5  # likeness that a passage's sentence must have to a wrong one to take its place
CLOSE = 0.7  # of what the best quote speaks of the question, for a quote in a section
SECTION_QUOTES = 3
MAX_SECTIONS = 4

_DOCUMENT = (
    "(?:report|article|essay|write[- ]?up|web ?page|page|memo|briefing|blog post|handout|white ?paper|document|overview|"
    "markdown)"
)
_WRITING = r"(?:writes?|compose|prepare|produce|draft|create|author|make|give me|need)"
_WANTED = re.compile(rf"\b{_WRITING}\b[^.?!\n]{{0,60}}\b{_DOCUMENT}\b|^\W*{_DOCUMENT} (?:on|about)\b", re.IGNORECASE)
_ITEM = re.compile(r"^(\s*(?:[-*•]|\d+[.)])\s+)(.*)$", re.DOTALL)
_QUOTED = re.compile(r"[\"“]((?:[^\"“”]|(?<=\w)\"(?=\w))+)[\"”]")


def wants_report(material: Material) -> bool:
    """Say whether a request asks for a document rather than for an answer."""
    return bool(_WANTED.search(f"{material.request.task}\n{material.request.system}"))


def write_report(material: Material) -> str:
    """Compose a document: a title, the answer first, then a section for each part of the question or of the sources."""
    heading = f"# {title(material.request.task) or 'Report'}"
    if not material.grounded or not material.sufficient:
        return f"{heading}\n\n{write_answer(material)}"
    used: set[str] = set()
    several = len(material.parts) > 1
    lead = [
        render(unseen(excerpts(part.evidence, choose(part.evidence, limit=1 if several else 2)), used))
        for part in material.answered
    ]
    blocks = [("", text) for text in lead]
    blocks += _part_sections(material.parts, used) if several else _source_sections(material.answered[0], used)
    return _shortened([heading, *_written(blocks)], limits_in(_bounds(material)))


def write_document(material: Material) -> str:
    """Revise the draft that there is feedback on, else compose a document."""
    drafts, feedback = material.request.parts("draft"), material.request.parts("feedback")
    if drafts and feedback:
        return revise(material, drafts[-1].text, "\n".join(part.text for part in feedback))
    return write_report(material)


def revise(material: Material, draft: str, feedback: str) -> str:
    """Change in a draft what the feedback names and nothing else.

    A sentence that an issue quotes gets the citation it lacks, or gives way to what the passage says, or goes. What the
    draft should speak of and the passages hold is added at the end.
    """
    named = [plain(quote) for quote in _QUOTED.findall(feedback) if len(quote.split()) > 2]
    twice = [
        plain(q)
        for line in feedback.splitlines()
        if "twice" in line.lower() or "duplicate" in line.lower()
        for q in _QUOTED.findall(line)
    ]
    editor = _Editor(material.request.cited, named, twice)
    kept = _without_empty_sections(
        [block for paragraph in re.split(r"\n\s*\n", draft.strip()) if (block := editor.paragraph(paragraph))]
    )
    added = _additions(material, feedback, draft, "\n".join(kept))
    revised = "\n\n".join([*kept, *added]).strip()
    return revised or write_report(material)


class _Editor:
    """Rewrites the sentences that feedback names."""

    def __init__(self, sources: Sequence[Source], named: Sequence[str], twice: Sequence[str]) -> None:
        self._sources, self._named, self._twice = sources, named, twice
        self._seen: set[str] = set()
        self._fenced = False

    def paragraph(self, text: str) -> str:
        """Rewrite one paragraph; headings, code and tables stay as they are."""
        if text.count("```") % 2:
            self._fenced = not self._fenced
            return text
        if self._fenced or text.lstrip().startswith(("#", "|", "```")):
            head, newline, rest = text.partition("\n")
            return f"{head}\n{self._lines(rest)}".rstrip() if newline and head.startswith("#") else text
        return self._lines(text)

    def _lines(self, text: str) -> str:
        lines = re.split(r"\n(?=\s*(?:[-*•]|\d+[.)])\s)", text)
        return "\n".join(line for line in (self._line(line) for line in lines) if line)

    def _line(self, line: str) -> str:
        item = _ITEM.match(line)
        mark, body = (item[1], item[2]) if item else ("", line)
        if not any(self._names(sentence) for sentence in sentences(body)):
            self._seen.update(bare(sentence) for sentence in sentences(body))
            return line
        kept = " ".join(filter(None, (self._sentence(sentence) for sentence in sentences(body))))
        return mark + kept if kept else ""

    def _sentence(self, sentence: str) -> str:
        shown = bare(sentence)
        if not self._names(sentence):
            self._seen.add(shown)
            return sentence
        if any(_is(shown, quote) for quote in self._twice):
            repeated = shown in self._seen
            self._seen.add(shown)
            return "" if repeated else sentence
        return self._fixed(shown)

    def _names(self, sentence: str) -> bool:
        shown = bare(sentence)
        return any(_is(shown, quote) for quote in self._named)

    def _fixed(self, shown: str) -> str:
        for source in self._sources:
            if is_verbatim(shown, [source.text]) and shown not in self._seen:
                self._seen.add(shown)
                return cite(shown, source)
        best: tuple[float, str, Source] | None = None
        for source in self._sources:
            found = units(source.text)
            for i, unit in enumerate(found):
                if unit.kind not in ("sentence", "item") or not unit.whole or bare(unit.text) in self._seen:
                    continue
                around = f"{source.heading} {found[i - 1].text if i else ''}"
                likeness = _likeness(shown, unit.text, around)
                if likeness >= REPLACES and (best is None or likeness > best[0]):
                    best = (likeness, unit.text, source)
        if best is None:
            return ""
        self._seen.add(bare(best[1]))
        return cite(best[1], best[2])


def _likeness(shown: str, text: str, around: str) -> float:
    """Give the share of words that two sentences have in common; numbers, and words that stand around the second, aside."""
    own, other, near = ({t for t in heads(part) if not t[0].isdigit()} for part in (shown, text, around))
    own -= near - other
    return len(own & other) / max(1, len(own | other))


def _is(shown: str, quote: str) -> bool:
    quote = bare(quote).rstrip(".… ")
    return bool(quote) and (quote in shown or (shown.rstrip(". ") in quote and len(shown.split()) > 3))


def _additions(material: Material, feedback: str, draft: str, kept: str) -> list[str]:
    """Write what feedback says is missing: the parts of the question that the draft leaves out, or what it asks to add."""
    found = []
    for line in feedback.splitlines():
        if any(len(quote.split()) > 2 and plain(quote) in plain(draft) for quote in _QUOTED.findall(line)):
            continue  # it is about a sentence of the draft
        if match := re.search(r"does not (?:speak of|cover|mention|answer) \"([^\"]+)\"", line):
            wanted = match[1]
        elif match := re.search(
            r"\b(?:add|include|mention|missing|cover|say (?:something )?(?:about|how|why|what))\b:?\s+(.+)$",
            line,
            re.IGNORECASE,
        ):
            wanted = re.sub(r"[\"“”]", "", match[1])
        else:
            continue
        evidence = Evidence(Question(wanted), material.sources)
        fresh = (
            [quote for quote in choose(evidence, limit=2) if plain(quote.text) not in plain(kept)]
            if evidence.sufficient
            else []
        )
        if fresh:
            found.append(render(excerpts(evidence, fresh)))
        elif not evidence.sufficient and key_terms(wanted):
            found.append(unsaid(wanted.rstrip(".")) + ".")
    return [text for text in dict.fromkeys(found) if text and text not in kept]


def _part_sections(parts: Iterable[Part], used: set[str]) -> list[tuple[str, str]]:
    found = []
    for part in parts:
        heading = title(part.text)
        if not part.evidence.sufficient:
            found.append((heading, unsaid(part.text)))
        elif text := render(
            unseen(excerpts(part.evidence, choose(part.evidence, limit=SECTION_QUOTES + 1, least=CLOSE)), used)
        ):
            found.append((heading, text))
    return found


def _source_sections(part: Part, used: set[str]) -> list[tuple[str, str]]:
    """A section for each heading under which more of the answer stands."""
    chosen = choose(part.evidence, limit=SECTION_QUOTES * MAX_SECTIONS, least=CLOSE)
    groups: dict[str, list[Quote]] = {}
    for quote in chosen:
        name = quote.source.heading.split(" > ")[-1] or quote.source.origin.rsplit("/", 1)[-1]
        groups.setdefault(plain(name), []).append(quote)
    found = []
    for name, quotes in list(groups.items())[:MAX_SECTIONS]:
        if text := render(unseen(excerpts(part.evidence, quotes[:SECTION_QUOTES]), used)):
            found.append((name, text))
    return found


def _written(blocks: Iterable[tuple[str, str]]) -> list[str]:
    return [f"## {heading}\n\n{text}" if heading else text for heading, text in blocks if text]


def _bounds(material: Material) -> str:
    return "\n".join([material.request.task, *(part.text for part in material.request.parts("constraints"))])


def _shortened(blocks: list[str], limits: Sequence[Limit]) -> str:
    """Join blocks, leaving out sections, then sentences, from the end until every upper limit is kept."""
    text = "\n\n".join(blocks)
    upper = [
        limit
        for limit in limits
        if limit.unit in ("word", "sentence", "character", "paragraph") and limit.bound != "at least"
    ]
    while len(blocks) > 2 and any(measure(text, limit.unit) > limit.number for limit in upper):
        blocks = blocks[:-1]
        text = "\n\n".join(blocks)
    found = sentences(blocks[-1])
    while len(found) > 1 and any(measure(text, limit.unit) > limit.number for limit in upper):
        found = found[:-1]
        text = "\n\n".join([*blocks[:-1], " ".join(found)])
    return text


def _without_empty_sections(blocks: list[str]) -> list[str]:
    """Leave out headings with nothing under them; the title stays."""
    kept = []
    for i, block in enumerate(blocks):
        bare_heading = re.fullmatch(r"#{2,6}\s[^\n]*", block) is not None
        following = blocks[i + 1] if i + 1 < len(blocks) else "#"
        if not (bare_heading and following.startswith("#")):
            kept.append(block)
    return kept
