"""Standing: how things are - what is to be judged, what is wrong with it, whether the request is met."""

from __future__ import annotations

from functools import cached_property

from nodes.engine.material import Material
from nodes.engine.review import Issue, Review
from nodes.engine.vocabulary import vocabulary
from nodes.engine.words import plain

ENDED = vocabulary("satisfied complete completed done finished")


class Standing:
    """What the flags, verdicts and scores of an answer rest on."""

    def __init__(self, material: Material) -> None:
        self._material = material

    @property
    def has_draft(self) -> bool:
        """Whether the request names something as a draft."""
        return bool(self._material.request.parts("draft"))

    @cached_property
    def draft(self) -> str:
        """What is to be judged: the draft, else the last contribution."""
        parts = self._material.request.parts("draft")
        if parts:
            return parts[-1].text
        return self._material.request.results[-1].text if self._material.request.results else ""

    @cached_property
    def review(self) -> Review:
        """The draft held against the rules."""
        return Review(self._material, self.draft)

    @cached_property
    def issues(self) -> list[Issue]:
        """What is wrong with the draft; nothing if there is none to judge."""
        return self.review.issues if self.has_draft or self.draft else []

    @property
    def well(self) -> bool:
        """Whether things are as they should be: the draft passes, or without one, the question is answered."""
        return self.review.accepts if self.has_draft or self.draft else self._material.sufficient

    @cached_property
    def repeats(self) -> bool:
        """Whether the same was said twice."""
        said = [plain(part.text) for part in self._material.request.material]
        return len(said) != len(set(said))
