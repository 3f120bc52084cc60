"""Listed tools: names in `approvals`, and in `allow`, `approve` and `deny` of policies, that mean no tool."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from orchestra.teamfile.model import AgentEntry, PolicyEntry, TeamFile
from orchestra.teamfile.places import Keys
from orchestra.teamfile.rights import TRANSFER, can_mean, is_open, means
from orchestra.teamfile.tools import known_names
from orchestra.teamfile.wrong import did_you_mean

LISTS = ("allow", "approve", "deny")
"""Keys of a policy that list tools."""

Given = tuple[str, TeamFile]
"""What an agent names its tools by, and the file that says so."""


@dataclass(frozen=True)
class Names:
    """What models call the tools that a reference means.

    Args:
        known: Those that are known.
        is_all: Whether there can be no others.
    """

    known: Sequence[str]
    is_all: bool


@dataclass(frozen=True)
class Unmet:
    """A name in a list of tools that none of the known tools has.

    Args:
        keys: Where it is listed.
        text: What is wrong.
        hint: What was probably meant.
        unseen: References that may have a tool of that name, since not all of their names are known.
    """

    keys: Keys
    text: str
    hint: str
    unseen: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.text}; {self.hint}"


def names_unopened(reference: str, file: TeamFile) -> Names:
    """Return what is known of the names of tools without importing or opening anything."""
    return Names(known_names(reference, file.tools), not is_open(reference, file.tools))


def unmet_names(file: TeamFile, names: Callable[[str, TeamFile], Names] = names_unopened) -> Iterator[Unmet]:
    """Yield every name in the lists of a file that means none of the tools that are known.

    Args:
        file: It; what the files say that it names is not looked at, except for the tools there.
        names: Returns the names of the tools that a reference means.
    """
    every = _references(file)
    look = _Look(names)
    yield from look.at(("approvals",), file.approvals, every, "no agent has the tool", "there are")
    for keys, policy, given in _policies(file, every):
        said = "the agent has no tool" if keys else "no agent has the tool"
        for key in LISTS:
            listed = tuple("" if one.startswith(TRANSFER) else one for one in getattr(policy, key) or ())
            yield from look.at((*keys, "policy", key), listed, given, said, "it has" if keys else "there are")


def _policies(file: TeamFile, every: list[Given]) -> Iterator[tuple[Keys, PolicyEntry, list[Given]]]:
    """Yield the policies of a file, each with the tools of those whom it is about."""
    if file.policy is not None:
        yield (), file.policy, every
    for keys, entry in file.entries():
        if isinstance(entry, AgentEntry) and entry.policy is not None:
            yield keys, entry.policy, [(one, file) for one in entry.tools]


@dataclass(frozen=True)
class _Look:
    """A look at lists of tools."""

    names: Callable[[str, TeamFile], Names]

    def at(self, keys: Keys, listed: Sequence[str], given: list[Given], said: str, has: str) -> Iterator[Unmet]:
        """Yield the names in a list that mean none of the tools that are given; empty ones are passed over."""
        for index, name in enumerate(listed):
            if not name or any(self._means(name, *one) for one in given):
                continue
            text = f"{keys[-1]}: {said} {name!r}"
            unseen = (one for one, file in given if not self.names(one, file).is_all and can_mean(name, one))
            yield Unmet((*keys, index), text, self._hint(name, given, has), tuple(dict.fromkeys(unseen)))

    def _means(self, name: str, reference: str, file: TeamFile) -> bool:
        if name == reference or reference.startswith(f"{name}."):
            return True
        return any(means(name, reference, tool, file.tools) for tool in self.names(reference, file).known)

    def _hint(self, name: str, given: list[Given], has: str) -> str:
        """Return the closest name of a tool as a question, or what agents name their tools by."""
        references = list(dict.fromkeys(one for one, _ in given))
        called = [tool for reference, file in given for tool in self.names(reference, file).known]
        close = did_you_mean(name, [*dict.fromkeys(called), *references])
        return close if close.endswith("?") else did_you_mean(name, references, what=has)


def _references(file: TeamFile) -> list[Given]:
    """Return what agents name their tools by, those of other files too."""
    found = [
        (reference, file) for _, entry in file.entries() if isinstance(entry, AgentEntry) for reference in entry.tools
    ]
    for inner in file.teams.values():
        found += _references(inner)
    return found
