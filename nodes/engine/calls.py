"""Calls: which tools to call next to get what the question needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from nodes.engine.arguments import fill_arguments, neutral_arguments
from nodes.engine.conform import fit_number
from nodes.engine.coverage import SUFFICIENT
from nodes.engine.material import Material
from nodes.engine.options import Option, options_in, rank_options
from nodes.engine.question import Question, query
from nodes.engine.reading import match
from nodes.engine.sentences import units
from nodes.engine.thesaurus import synonyms
from nodes.engine.toolbox import Tool, Toolbox
from nodes.engine.vocabulary import vocabulary
from nodes.engine.words import STOP, key_terms, terms, tokens, weight

MAX_CALLS = 6  # a turn
MAX_SEARCHES = 4  # a turn; first one for each part of the question, then reformulations
SATISFIED = 0.85  # coverage at which a question is not searched for a second time
HOPEFUL = 0.3  # coverage after two searches from which a third may still find an answer
HITS = 8  # that a search is asked for
MIN_FIT = 0.3  # of a tool that is no search, to be called unasked

_GREETING = re.compile(
    r"\W*(?:(?:hello|hi|hey|thanks?|thank you|bye|good (?:morning|evening|day)|ok|okay|please|there|you)\W*)+",
    re.IGNORECASE,
)
_LIMITS = vocabulary("limit k top_k n max_results num_results count size")
_LISTING = frozenset(terms("list show get all available enumerate"))
_SAFE = vocabulary(
    """get list find read fetch lookup look search show calculate compute count check convert query describe view
    add sum"""
)
_HAND_WORDS = frozenset(
    terms("transfer hand handoff over control agent ask delegate task conversation assistant specialist user help to")
)


@dataclass(frozen=True)
class Call:
    """A tool call to make."""

    name: str
    args: dict[str, Any]


def next_calls(material: Material, toolbox: Toolbox) -> list[Call]:
    """Choose the tool calls to make now; none when what there is suffices, or when nothing more can be got.

    Bounds: `MAX_CALLS` and `MAX_SEARCHES` a turn, and no call twice.
    """
    steps = material.request.steps
    if toolbox.forced == "none" or not toolbox.tools or len(steps) >= MAX_CALLS:
        return []
    if toolbox.forced not in ("", "any"):
        named = [tool for tool in toolbox.tools if tool.name == toolbox.forced]
        return [forced_call(material, named[0])] if named and not _was_called(material, named[0].name) else []
    acting = _act(material, toolbox)
    if acting:
        return acting
    found = _search(material, toolbox)
    return found or _read(material, toolbox) or _hand_over(material, toolbox)


def forced_call(material: Material, tool: Tool) -> Call:
    """Call a tool because it was asked for: what the text does not give is left at the most neutral value."""
    text = material.request.task
    names = [item.option.name for item in rank_options(text, options_in(material.request))]
    args = fill_arguments(tool.parameters, text, options=names)
    if tool.role == "search" and tool.query_argument:
        args = {tool.query_argument: query(text) or text}
    return Call(tool.name, args if args is not None else neutral_arguments(tool.parameters, text))


def _act(material: Material, toolbox: Toolbox) -> list[Call]:
    """Call tools that the task names or clearly is about, when their arguments are in the text."""
    found = []
    for clause in material.asks if len(material.asks) > 1 else [material.request.task]:
        ranked = sorted(
            ((_fit(tool, clause), i) for i, tool in enumerate(toolbox.tools) if tool.role in ("other", "list")),
            reverse=True,
        )
        for fit, i in ranked[:2]:
            tool = toolbox.tools[i]
            args = fill_arguments(tool.parameters, clause) if fit >= MIN_FIT else None
            call = Call(tool.name, args) if args is not None else None
            if call and call not in found and not _was_made(material, call) and _allowed(tool, clause):
                found.append(call)
                break
    return found[: MAX_CALLS - len(material.request.steps)]


def _search(material: Material, toolbox: Toolbox) -> list[Call]:
    """Search for each part of the question, then, for parts that stay open, in other words and with the next tool."""
    failed = {step.name for step in material.request.steps if step.failed}
    tools = [tool for tool in toolbox.of("search") if tool.name not in failed]
    if (
        not tools
        or _GREETING.fullmatch(material.request.task)
        or (material.request.inline and (material.condenses or material.sufficient))
    ):
        return []
    made = sum(step.name in {tool.name for tool in tools} for step in material.request.steps)
    told = material.grounded or made > 0  # What other agents say is no evidence before the documents were searched.
    enough = SATISFIED if made < 2 * len(material.parts) else SUFFICIENT
    open_parts = [p for p in material.parts if key_terms(p.text) and not (told and p.evidence.coverage >= enough)]
    if made >= 2 * len(material.parts):
        open_parts = [part for part in open_parts if part.evidence.coverage >= HOPEFUL]
    tools = sorted(tools, key=lambda tool: -_fit(tool, material.request.task))
    calls: list[Call] = []
    for part in open_parts:
        for words in _queries(material, part.text, first=made == 0):
            fresh = [
                call
                for tool in tools
                if (call := _query_call(tool, words)) not in calls and not _was_made(material, call)
            ]
            if fresh:
                calls.append(fresh[0])
                break
    return calls[: max(0, MAX_SEARCHES - made)]


def _queries(material: Material, text: str, *, first: bool) -> list[str]:
    """The question's content words; then, what was not found in other words, and its rarest words alone."""
    plain_query = query(text)
    if first:
        return [plain_query]
    question = Question(text)
    words = plain_query.split()
    evidence = next(part.evidence for part in material.parts if part.text == text)
    absent = [word for word in words if set(key_terms(word)) & set(evidence.missing)]
    rare = sorted(words, key=lambda word: -max((weight(t) for t in key_terms(word)), default=0.0))[:3]
    present = [word for word in words if word not in absent] if absent else rare
    headings = [
        w
        for source in evidence.best_sources[:2]
        for w in tokens(source.heading.split(" > ")[-1])
        if w.lower() not in STOP
    ]
    other = synonyms(absent or words, limit=6)
    known = [w for w in headings if not set(terms(w)) & set(question.terms)][:3] if evidence.coverage >= HOPEFUL else []
    found = (plain_query, " ".join([*present, *other]), " ".join(rare), " ".join([*rare, *known]))
    return [q for q in found if len(q.split()) > 1 or q == plain_query]


def _query_call(tool: Tool, words: str) -> Call:
    """Search with these words, for as many hits as can be ranked, if the tool lets one say how many."""
    args: dict[str, Any] = {tool.query_argument or "query": words}
    limit = next((name for name in tool.parameters.get("properties", {}) if name in _LIMITS), None)
    if limit is not None:
        args[limit] = int(fit_number(HITS, tool.parameters["properties"][limit] | {"type": "integer"}))
    return Call(tool.name, args)


def _read(material: Material, toolbox: Toolbox) -> list[Call]:
    """Read around the best hit when it begins or ends in the middle of a sentence."""
    tools = [tool for tool in toolbox.of("read") if not _was_called(material, tool.name)]
    if not tools or not material.sufficient or not material.request.steps:
        return []
    for quote in material.quotes[:2]:
        found = units(quote.source.text)
        cut = not found[-1].whole or not found[0].whole or (found[-1].opens and quote.unit.place >= len(found) - 2)
        if cut and quote.source.id:
            return [Call(tools[0].name, {tools[0].passage_argument or "passage_id": quote.source.id})]
    return []


def _hand_over(material: Material, toolbox: Toolbox) -> list[Call]:
    """Hand over to whoever the task is about more than it is about this agent; never back, never twice."""
    tools = [tool for tool in toolbox.of("handoff") if not _was_called(material, tool.name)]
    if not tools or material.sufficient or any(step.name.startswith("transfer") for step in material.request.steps):
        return []
    text = material.request.task
    offers = [Option(tool.name, " ".join(t for t in tokens(tool.description))) for tool in tools]
    ranked = rank_options(" ".join(w for w in tokens(text) if not set(terms(w)) & _HAND_WORDS), offers)
    own = rank_options(text, [Option("self", material.request.system), *offers])
    self_fit = next(item.fit for item in own if item.option.name == "self")
    best = ranked[0]
    tool = next(tool for tool in tools if tool.name == best.option.name)
    names = [item.option.name for item in rank_options(text, options_in(material.request))]
    delegates = bool(names and tool.required) and not material.grounded
    if (best.fit < MIN_FIT or best.fit <= self_fit) and not delegates:
        return []
    args = fill_arguments(tool.parameters, text, options=names)
    return [Call(tool.name, args if args is not None else neutral_arguments(tool.parameters, text))]


def _fit(tool: Tool, text: str) -> float:
    """Say how much a task is about a tool: the share of the tool's name in the task, and of the task in its description."""
    wanted = key_terms(text) or terms(text)
    if tool.role == "list" and not _asks_for_list(tool, text):
        return 0.0
    said = frozenset(wanted) | frozenset(terms(text))
    name = [t for t in terms(re.sub(r"[_-]", " ", tool.name))]
    about = frozenset(terms(tool.description)) | frozenset(name)
    by_name = sum(match(t, said) for t in name) / max(1, len(name))
    total = sum(weight(t) for t in wanted) or 1.0
    by_description = sum(weight(t) * match(t, about) for t in wanted) / total
    return 0.6 * by_name + 0.6 * by_description


def _asks_for_list(tool: Tool, text: str) -> bool:
    """Say whether a text asks which things there are that a tool lists, rather than something about them."""
    things = [t for t in terms(re.sub(r"[_-]", " ", tool.name)) if t not in _LISTING]
    said = frozenset(terms(text))
    asked = re.search(
        r"\b(?:list|show|enumerate|which|what|how many)\b.*\b(?:there|available|exist|have|all|list|show|documents?|files?)\b",
        text,
        re.I,
    )
    return bool(asked or re.match(r"\W*(?:list|show|enumerate)\b", text, re.IGNORECASE)) and any(
        match(t, said) for t in things
    )


def _allowed(tool: Tool, text: str) -> bool:
    """Let a tool that may change something be called only when the task says its verb."""
    verb = re.split(r"[_\W]+", tool.name.lower())[0]
    return verb in _SAFE or any(match(t, frozenset(terms(text))) > 0 for t in terms(verb)) or not terms(verb)


def _was_made(material: Material, call: Call) -> bool:
    return any(step.name == call.name and step.args == call.args for step in material.request.steps)


def _was_called(material: Material, name: str) -> bool:
    return any(step.name == name for step in material.request.steps)
