"""Every pattern and team by name. Listing them imports none of them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from state.errors import ConfigurationError


@dataclass(frozen=True)
class Entry:
    """A pattern or team: where it is, and when to take it.

    Args:
        name: What people type.
        module: Where its `build` and `graph` are.
        use_when: One line that helps to choose.
        cost: Model calls, as a formula.
    """

    name: str
    module: str
    use_when: str
    cost: str

    @property
    def is_team(self) -> bool:
        """Whether it is a team rather than a pattern."""
        return self.module.startswith("graphs.teams.")

    def load(self) -> Any:
        """Import its module and return it."""
        return import_module(self.module)


REGISTRY: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("single", "graphs.single", "one agent with the right tools is enough", "1"),
        Entry("sequential", "graphs.sequential", "the steps are known, and each needs the one before", "n agents"),
        Entry("parallel", "graphs.parallel", "several views of one task are worth their price", "n agents + 1 to join"),
        Entry(
            "map_reduce",
            "graphs.map_reduce",
            "independent parts whose number is not known yet",
            "1 + k items + 1 to join",
        ),
        Entry("router", "graphs.router", "tasks are of distinct kinds, each with its specialist", "1 + k specialists"),
        Entry(
            "supervisor",
            "graphs.supervisor",
            "who has to do what shows only from what the others found",
            "1 + decisions + tasks",
        ),
        Entry(
            "hierarchical",
            "graphs.hierarchical",
            "the parts are worth checking one by one, or are teams' work themselves",
            "2 + subtasks * (1 + verdicts)",
        ),
        Entry("review", "graphs.review", "faults are easier to name than to avoid", "rounds * (1 + critics)"),
        Entry("group_chat", "graphs.group_chat", "views have to meet before there is an answer", "turns * (1 or 2)"),
        Entry(
            "handoff",
            "graphs.handoff",
            "a conversation moves between desks with rights and knowledge of their own",
            "1 + handoffs",
        ),
        Entry("debate", "graphs.debate", "a question has sides that should answer each other", "debaters * rounds + 1"),
        Entry(
            "plan_execute",
            "graphs.plan_execute",
            "a task has several parts, and some need the results of others",
            "2 + subtasks",
        ),
        Entry(
            "magentic",
            "graphs.magentic",
            "what a task will take shows on the way",
            "3 + 2 * steps + 1 for each new plan",
        ),
        Entry("adaptive", "graphs.adaptive", "tasks differ too much for any one pattern", "1 + what is chosen + 1"),
        Entry(
            "research",
            "graphs.teams.research",
            "a question is to be answered from documents, with every claim cited",
            "1 + 2 * parts + rounds * 2",
        ),
        Entry(
            "competitive",
            "graphs.teams.competitive",
            "the same is asked of several products or vendors, and documents about them are at hand",
            "2 + 2 * competitors",
        ),
        Entry(
            "support",
            "graphs.teams.support",
            "customers ask about what a database knows, and some of what they want is worth a second look",
            "1 + handoffs + tool rounds + 1 later",
        ),
        Entry(
            "incident",
            "graphs.teams.incident",
            "a service has a health check, a log, and a list of commands that put it right",
            "4 * rounds + tool rounds + 2",
        ),
    )
}


def find(name: str) -> Entry:
    """Return the entry of a pattern or team.

    Raises:
        ConfigurationError: There is none of that name; the closest ones are named.
    """
    if name in REGISTRY:
        return REGISTRY[name]
    from difflib import get_close_matches

    close = get_close_matches(name, REGISTRY, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(REGISTRY)}"
    raise ConfigurationError(f"no pattern or team named {name!r}; {hint}")
