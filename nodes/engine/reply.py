"""The reply: what the engine does with a request - call tools, fill a schema, revise, review, report or answer."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from nodes.engine.answer import write_answer
from nodes.engine.calls import Call, forced_call, next_calls
from nodes.engine.material import Material
from nodes.engine.report import wants_report, write_document, write_report
from nodes.engine.request import Request
from nodes.engine.review import Review
from nodes.engine.schema import choose_response, fill_each, fill_schema
from nodes.engine.toolbox import Toolbox

_CRITIC = re.compile(
    r"\b(?:critic|critique|review(?:er)?|check(?:er)?|verif(?:y|ier)|judge|proofread)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Reply:
    """What the engine says: text, or calls."""

    text: str = ""
    calls: tuple[Call, ...] = ()


def compose_reply(request: Request, toolbox: Toolbox) -> Reply:
    """Decide and do: gather with tools first, then give the answer in the shape that is asked for."""
    material = Material(request)
    calls = next_calls(material, toolbox)
    if calls:
        return Reply(calls=tuple(calls))
    if toolbox.responses and toolbox.forced != "none":
        response = choose_response(toolbox.responses, material)
        if toolbox.as_text:
            return Reply(json.dumps(fill_schema(response.parameters, material), ensure_ascii=False))
        if len(toolbox.responses) == 1:
            return Reply(calls=(Call(response.name, fill_schema(response.parameters, material)),))
        values = fill_each(response.parameters, material)  # one of several shapes may be given more than once
        return Reply(calls=tuple(Call(response.name, value) for value in values))
    if toolbox.forced == "any" and toolbox.tools and not request.steps:
        return Reply(calls=(forced_call(material, [*toolbox.of("search"), *toolbox.tools][0]),))
    return Reply(_text(material))


def _text(material: Material) -> str:
    request = material.request
    drafts = request.parts("draft")
    if drafts and request.parts("feedback"):
        return write_document(material)
    if drafts and _CRITIC.search(f"{request.system}\n{request.task}"):
        review = Review(material, drafts[-1].text)
        return "accept" if review.accepts else "revise\n" + "\n".join(f"- {issue.text}" for issue in review.issues)
    if wants_report(material) and material.grounded:
        return write_report(material)
    return write_answer(material)
