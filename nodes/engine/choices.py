"""Choices: which agent, route, speaker or winner a request asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from nodes.engine.decompose import sides, split_task
from nodes.engine.material import Material, all_abstain
from nodes.engine.options import Option, Ranked, fallback_option, options_in, rank_options
from nodes.engine.question import Question
from nodes.engine.review import Review
from tools.passage import cited_ids

CLEAR = 0.25  # fit of an option that the task speaks of; below it the option for everything else is taken
ALSO = 0.7  # of the best option's fit, for another to be chosen beside it


class Choices:
    """The names that a request has the engine choose among, and which of them to take."""

    def __init__(self, material: Material) -> None:
        self._material = material

    @cached_property
    def options(self) -> list[Option]:
        """The options that the request describes; else those who contributed to it, else the two things that it compares."""
        return self.described or [Option(name) for name in self.used or sides(self._material.request.task)]

    @cached_property
    def described(self) -> list[Option]:
        """The options that the request describes."""
        return options_in(self._material.request)

    @cached_property
    def used(self) -> Counter[str]:
        """How often each option has had its say."""
        return Counter(part.origin for part in self._material.request.material if part.origin)

    def among(self, names: Sequence[str]) -> list[Option]:
        """The options with these names, with what the request says of them; all described ones if no names are given."""
        about = {option.name: option.about for option in self.options}
        return [Option(name, about.get(name, "")) for name in names] if names else self.options

    def for_task(self, text: str, names: Sequence[str] = (), *, fresh: bool = True) -> Ranked | None:
        """Choose who should do a task: the best fit; without a fit, the option for the rest.

        If `fresh`, those who had their say stand back behind those who had less of it.
        """
        options = self.among(names)
        least = min((self.used[option.name] for option in options), default=0)
        options = [option for option in options if not fresh or self.used[option.name] == least]
        best = next(iter(rank_options(text, options)), None)
        if best is None or best.fit >= CLEAR:
            return best
        spare = fallback_option([option.name for option in options])
        return Ranked(next(option for option in options if option.name == spare), best.fit) if spare else best

    def several(self, text: str, names: Sequence[str] = ()) -> list[str]:
        """Choose everyone whom a task, or a part of it, is about; at least one if there is any option."""
        return list(dict.fromkeys(name for part in split_task(text) for name in self._suiting(part, names)))

    def _suiting(self, text: str, names: Sequence[str]) -> list[str]:
        ranked = rank_options(text, self.among(names))
        best = self.for_task(text, names, fresh=False)
        if best is None:
            return []
        clear = [item.option.name for item in ranked if item.fit >= CLEAR and item.fit >= ALSO * ranked[0].fit]
        return clear or [best.option.name]

    def settled(self, *, well: bool, everybody: bool = False) -> bool:
        """Say whether a team has come to its end: all had their say, or somebody's is well unless everybody is to have it."""
        team = {option.name for option in self.described}
        spoke = team & set(self.used)
        if not team or (self.used and not spoke):
            return well
        return spoke == team or (bool(spoke and self._material.sources) and well and not everybody)

    def merits(self, names: Sequence[str] = ()) -> dict[str, float]:
        """Score what each option contributed, 0 to 1: does it speak of the question, with citations that hold.

        An option that contributed nothing has 0; one that only says that it has nothing, a tenth.
        """
        said: dict[str, str] = {}
        for part in self._material.request.material:
            if part.origin:
                said[part.origin] = f"{said.get(part.origin, '')}\n\n{part.text}".strip()
        spoke = list(said) if len(said) > 1 and not set(said) & {option.name for option in self.options} else []
        found = spoke if spoke and not names else [option.name for option in self.among(names)]
        return {name: self._merit(said.get(name, "")) for name in found}

    def winner(self, names: Sequence[str] = ()) -> str | None:
        """Choose the option whose contribution has the most merit; the first of equals. None without options."""
        merits = self.merits(names)
        return max(merits, key=lambda name: merits[name]) if merits else None

    def _merit(self, text: str) -> float:
        if not text:
            return 0.0
        if all_abstain([text]):
            return 0.1
        question = Question(self._material.request.task)
        spoken = rank_options(question.text, [Option("x", text)])[0].fit if question.terms else 0.5
        sound = Review(self._material, text).score
        return round(0.4 * spoken + 0.4 * sound + 0.2 * bool(cited_ids(text)), 2)
