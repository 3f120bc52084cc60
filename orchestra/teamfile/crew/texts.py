"""Placeholders in the texts of a crew: `{topic}` is what a run is given, by name; a team file knows `{task}` alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

INPUT = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")
"""What CrewAI replaces."""
_LOOSE = re.compile(r"\{\s*([A-Za-z_]\w*)\s*\}")


def inputs_in(texts: Iterable[str]) -> list[str]:
    """Return the names of what texts ask for, each once, in order."""
    return list(dict.fromkeys(name for text in texts for name in INPUT.findall(text)))


@dataclass(frozen=True)
class Inputs:
    """What becomes of the placeholders of a crew.

    Args:
        given: Values to put in, by name.
        task: The one that becomes `{task}` in tasks: what the run is asked for. Empty when there are several, or none.
    """

    given: Mapping[str, str]
    task: str = ""

    def in_agent(self, text: str) -> str:
        """Return a text of an agent; what is not known is marked `<name>`, since no agent's text is filled in."""
        filled = INPUT.sub(lambda found: self.given.get(found[1], f"<{found[1]}>"), text)
        return _LOOSE.sub(r"<\1>", filled)

    def in_task(self, text: str) -> str:
        """Return a text of a task. Braces that mean nothing to CrewAI are doubled, so that they stay braces."""
        parts, end = list[str](), 0
        for found in INPUT.finditer(text):
            parts += [_doubled(text[end : found.start()]), self._put(found[1])]
            end = found.end()
        return "".join([*parts, _doubled(text[end:])])

    def _put(self, name: str) -> str:
        if name in self.given:
            return _doubled(self.given[name])
        return "{task}" if name == self.task else f"<{name}>"


def _doubled(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
