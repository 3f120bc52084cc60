"""Failures: what becomes of a run when somebody fails, where nothing else catches it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from nodes.spec import Agent
from orchestra.teamfile.checking.finding import Finding, finding
from orchestra.teamfile.checking.troupe import Player, Troupe
from orchestra.teamfile.model import AgentEntry
from orchestra.teamfile.places import Place
from orchestra.teamfile.tasks import dependencies
from state.context import Context

CODE = "no-failure-path"


@dataclass(frozen=True)
class Consequence:
    """What follows when somebody fails who has no policy for it.

    Args:
        ends: Whether the run ends without what it was for; otherwise the pattern itself goes on.
        what: What happens, in words.
    """

    ends: bool
    what: str


_GOES_ON = Consequence(False, "the others go on")


def consequence(troupe: Troupe, part: str, player: Player) -> Consequence:
    """Return what follows when somebody fails in their part, by the pattern alone."""
    found = _FOLLOWS[troupe.pattern, part]
    return found(troupe, player) if callable(found) else found


def catches(player: Player, troupe: Troupe) -> str:
    """Return what of its policy catches a failure of somebody, in words; nothing when nothing does."""
    policy = player.policy
    if policy is None:
        return f"{player.stand_ins[0].name} stands in" if player.stand_ins else ""
    if others := [one.name for one in player.stand_ins] or _other_models(player):
        return f"{', '.join(others)} stands in"
    if policy.on_failure == "escalate":
        return "a person is asked"
    goes_on = troupe.pattern in ("sequential", "plan_execute", "parallel", "map_reduce") and policy.on_failure == "skip"
    alone = sum(1 for _ in troupe.players()) == 1
    return "it is skipped" if goes_on and not alone else ""


def _other_models(player: Player) -> list[str]:
    """Return the models that an agent falls back to, without its own."""
    assert isinstance(player.agent, Agent)
    own = player.agent.model if player.agent.model is not None else player.file.model
    models = [one.model for one in player.agent.policy.fallbacks() if one.model is not None]
    return [str(model) for model in models if model != own]


@dataclass(frozen=True)
class _Fragile:
    """Somebody whose failure ends the run, since nothing catches it."""

    troupe: Troupe
    part: str
    player: Player
    what: str

    @property
    def name(self) -> str:
        """Return the name, with that of the team where it is in one that is written in the place of an agent."""
        return f"{self.player.name} in {self.troupe.name}" if self.troupe.members.keys else self.player.name

    @property
    def place(self) -> Place:
        """Return where it is written."""
        return self.player.file.source.key(*self.player.keys)

    @property
    def follows_file(self) -> bool:
        """Whether the policy of the file says what becomes of its failures."""
        entry = self.player.entry
        return isinstance(entry, AgentEntry) and (entry.policy is None or entry.policy.on_failure is None)


def at_failures(teams: Sequence[Troupe], knobs: Context) -> Iterator[Finding]:
    """Yield where a run ends because one agent failed, and where it waits for a person for ever."""
    alike: dict[int, list[_Fragile]] = {}
    for troupe in teams:
        yield from _at_approvals(troupe, knobs)
        for player in {player.name: player for _, player in troupe.players() if player.is_person}.values():
            yield from _at_person(player, knobs)
        for one in _fragile(troupe):
            if one.follows_file:
                alike.setdefault(id(one.player.file), []).append(one)
            else:
                yield _alone(one)
    for several in alike.values():
        yield _together(sorted(several, key=lambda one: one.place)) if len(several) > 1 else _alone(several[0])


def _fragile(troupe: Troupe) -> Iterator[_Fragile]:
    """Yield those whose failure ends the run, each once."""
    seen: set[str] = set()
    for part, player in troupe.players():
        if player.name in seen:
            continue
        seen.add(player.name)
        if player.is_person or player.team is not None or not player.asks_model:
            continue
        follows = consequence(troupe, part, player)
        if follows.ends and not catches(player, troupe):
            yield _Fragile(troupe, part, player, follows.what)


def _alone(one: _Fragile) -> Finding:
    player, part = one.player, one.part
    own = "" if player.entry is not None else f", whom the pattern brings along as {part},"
    here = f" in {one.troupe.name}" if one.troupe.members.keys else ""
    remedy = "give its policy a `fallback`, or `on_failure: escalate`"
    if player.entry is None:
        remedy = f"give an agent of your own as `options: {{{part}: NAME}}`, with a fallback in its policy"
    what = f"when {player.name}{own} fails{here}, {one.what}"
    return finding(CODE, "warning", player.file, player.keys, what, remedy)


def _together(several: list[_Fragile]) -> Finding:
    """Return one finding about several agents of a file, and the one place that is about all of them."""
    first, *others = several
    file = first.player.file
    *names, last = [first.name, *(f"{one.name} (line {one.place.line})" for one in others)]
    what = f"when {', '.join(names)} or {last} fails, nothing makes up for it: without {first.name}, {first.what}"
    where = "with a `policy` at the top of the file, beside `agents`"
    if file.policy is not None:
        where = f"in the `policy` of the file (line {file.source.key('policy').line})"
    ways = "`on_failure: escalate` asks a person, `fallback: ['provider:model']` another model"
    remedy = f"mend all at once {where}: {ways}"
    found = finding(CODE, "warning", file, first.player.keys, what, remedy)
    return replace(found, others=tuple(one.place for one in others))


def _at_person(player: Player, knobs: Context) -> Iterator[Finding]:
    entry = player.entry
    if getattr(entry, "due", None) is not None or getattr(entry, "available", None) is not None:
        if not player.stand_ins:
            what = f"when {player.name} does not answer in time, nobody does what they were asked for"
            yield finding(CODE, "warning", player.file, player.keys, what, "name a `backup:`")
        return
    if knobs.approval_expires is None:
        what = f"the run waits for {player.name} for ever when they do not answer"
        remedy = "give them `due:` in seconds, and a `backup:`"
        yield finding(CODE, "warning", player.file, player.keys, what, remedy)


def _at_approvals(troupe: Troupe, knobs: Context) -> Iterator[Finding]:
    """Yield where a run waits for an approval, when nothing says what becomes of it in the end."""
    members = troupe.members
    if knobs.approval_expires is not None:
        return
    asked: list[tuple[str, ...]] = [("approvals",)] if members.file.approvals and not members.keys else []
    for one in troupe.everybody():
        if isinstance(one.entry, AgentEntry) and one.entry.policy is not None and one.entry.policy.approve:
            asked.append((*one.keys, "policy", "approve"))
    asked += [(*members.keys, "options", "approve_plan")] if troupe.arguments.get("approve_plan") else []
    for keys in asked[:1]:
        what = "the run waits for an approval for ever when nobody decides"
        remedy = "set `approval_expires:` in seconds in the options of the file; then it counts as rejected"
        yield finding(CODE, "note", members.file, keys, what, remedy)


def _single_critic(troupe: Troupe, player: Player) -> Consequence:  # noqa: ARG001  # one signature for all
    if len(troupe.parts["critics"]) > 1:
        return Consequence(False, "the other critics decide")
    return Consequence(True, "nobody reviews: the draft is given as it is, and the run counts as stopped")


def _branch(troupe: Troupe, player: Player) -> Consequence:  # noqa: ARG001  # one signature for all
    if troupe.arguments.get("on_failure") == "fail_fast":
        return Consequence(True, "the run fails, and the others are cancelled (on_failure: fail_fast)")
    quorum = troupe.arguments.get("quorum")
    if quorum is not None and quorum >= len(troupe.parts["agents"]):
        return Consequence(True, f"the run fails, since a quorum of {quorum} needs everybody")
    return Consequence(False, "the others' answers are given, and the run is partial")


def _item(troupe: Troupe, player: Player) -> Consequence:  # noqa: ARG001  # one signature for all
    if troupe.arguments.get("on_failure") == "fail_fast":
        return Consequence(True, "the run fails, and all other items are cancelled (on_failure: fail_fast)")
    return Consequence(True, "its item is lost, and all of them when its model is down: nobody else works on items")


def _specialist(troupe: Troupe, player: Player) -> Consequence:  # noqa: ARG001  # one signature for all
    if len(troupe.parts["specialists"]) > 1 or "default" in troupe.parts:
        return Consequence(False, "the default stands in")
    return Consequence(True, "the run fails: there is no other specialist, and no default")


def _worker(troupe: Troupe, player: Player) -> Consequence:
    if troupe.has_fixed_plan:
        return _planned(troupe, player)
    if troupe.arguments.get("on_failure") == "fail_fast":
        return Consequence(True, "the run fails, and no new plan is made (on_failure: fail_fast)")
    if troupe.members.options.get("max_replans") == 0:
        return Consequence(True, "what needs its result is skipped, and no new plan is made (max_replans: 0)")
    return _one_of_many(troupe, player)


def _one_of_many(troupe: Troupe, player: Player) -> Consequence:  # noqa: ARG001  # one signature for all
    if len(troupe.parts["workers"]) > 1:
        return _GOES_ON
    return Consequence(True, "nothing is done: it is the only worker, so nobody can be given its tasks instead")


def _planned(troupe: Troupe, player: Player) -> Consequence:
    tasks = troupe.members.tasks
    mine, needed = {name for name, task in tasks.items() if task.agent == player.name}, dependencies(tasks)
    lost, more = set(mine), True
    while more:
        reached = {name for name, before in needed.items() if lost & set(before)} - lost
        lost, more = lost | reached, bool(reached)
    after = [name for name in tasks if name in lost - mine]
    if not mine:
        return _GOES_ON
    if after:
        return Consequence(True, f"what needs its result is skipped: {', '.join(after)}")
    what = f"{', '.join(sorted(mine))} is missing"
    return Consequence(True, what) if len(lost) == len(tasks) else Consequence(False, what)


def _in_sequence(troupe: Troupe, player: Player) -> Consequence:
    names = [one.name for one in troupe.parts["agents"]]
    after = names[names.index(player.name) + 1 :]
    if after:
        return Consequence(True, f"the run ends there, before {', '.join(after)}")
    return Consequence(True, "the run ends with what the step before made" if names[1:] else "there is no answer")


def _desk(troupe: Troupe, player: Player) -> Consequence:
    entry = troupe.arguments.get("entry") or troupe.parts["agents"][0].name
    if player.name != entry:
        return Consequence(False, "control goes back to whoever handed over to it")
    return Consequence(True, "there is nobody to give control back to, and the turn ends: it is the entry")


def _speaker(troupe: Troupe, player: Player) -> Consequence:  # noqa: ARG001  # one signature for all
    return _GOES_ON


_Follows = Consequence | Callable[[Troupe, Player], Consequence]

_FOLLOWS: dict[tuple[str, str], _Follows] = {
    ("single", "agent"): Consequence(True, "there is no answer"),
    ("sequential", "agents"): _in_sequence,
    ("parallel", "agents"): _branch,
    ("parallel", "aggregator"): Consequence(False, "the answers stand side by side"),
    ("map_reduce", "splitter"): Consequence(True, "there are no items, so nobody works"),
    ("map_reduce", "worker"): _item,
    ("map_reduce", "aggregator"): Consequence(False, "the results stand under their items"),
    ("router", "router"): Consequence(False, "the default, or who matches the task best, works on it"),
    ("router", "specialists"): _specialist,
    ("router", "default"): Consequence(False, "what the specialists made is given"),
    ("supervisor", "supervisor"): Consequence(True, "nobody gives tasks or the answer: the best so far is given"),
    ("supervisor", "workers"): _one_of_many,
    ("hierarchical", "manager"): Consequence(True, "one agent gets the whole task, and nobody judges what it makes"),
    ("hierarchical", "workers"): _one_of_many,
    ("review", "generator"): Consequence(True, "there is no draft to review"),
    ("review", "critics"): _single_critic,
    ("group_chat", "speakers"): _speaker,
    ("group_chat", "moderator"): Consequence(False, "the speakers go on in turn"),
    ("handoff", "agents"): _desk,
    ("debate", "debaters"): Consequence(False, "the positions of the others are judged"),
    ("debate", "judge"): Consequence(False, "most votes decide"),
    ("plan_execute", "workers"): _worker,
    ("plan_execute", "planner"): Consequence(False, "one agent gets the whole task"),
    ("plan_execute", "synthesizer"): Consequence(False, "the results stand under their subtasks"),
    ("magentic", "manager"): Consequence(True, "nobody keeps the ledgers: the best so far is given"),
    ("magentic", "workers"): _one_of_many,
    ("adaptive", "workers"): Consequence(True, "what needs its result is skipped, and no new plan is made"),
    ("adaptive", "planner"): Consequence(False, "one agent gets the whole task"),
    ("adaptive", "manager"): Consequence(False, "one agent gets the whole task"),
    ("adaptive", "synthesizer"): Consequence(False, "the results stand under their subtasks"),
}
