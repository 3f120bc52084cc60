"""Authorities: whether agents may use the tools they have, also under those for whom they work."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nodes.authority import Authority, authority_of
from nodes.spec import Agent
from orchestra.teamfile.checking.finding import Finding, Severity, finding
from orchestra.teamfile.checking.hands import Hand, Hands
from orchestra.teamfile.checking.troupe import Player, Troupe
from orchestra.teamfile.listed import Names, names_unopened, unmet_names
from orchestra.teamfile.model import TeamFile
from orchestra.teamfile.rights import may_mean, means
from tools.marks import RIGHTS

CODE = "rights"

LEADERS = {
    "supervisor": "supervisor",
    "hierarchical": "manager",
    "magentic": "manager",
    "plan_execute": "planner",
    "adaptive": "planner",
}
"""Whose rights limit those of the workers."""


def at_rights(
    troupe: Troupe, hands: Hands, above: Authority | None = None, asked: tuple[str, ...] = ()
) -> Iterator[Finding]:
    """Yield tools that may never be used, names of tools that nobody has, and effects that content from outside can cause."""
    asked = (*asked, *troupe.members.file.approvals)
    leader = next(iter(troupe.parts.get(LEADERS.get(troupe.pattern, ""), ())), None)
    for player in troupe.everybody():
        works_for = above if player is leader else _limits(leader, above)
        if player.team is not None:
            yield from at_rights(player.team, hands, works_for, asked)
        if isinstance(player.agent, Agent) and player.entry is not None:
            allowed = _resolved(player, hands, asked).within(works_for)
            yield from _at_denied(player, hands.of(player), allowed)
            yield from _at_taint(player, hands.of(player), allowed)
    if troupe.pattern == "handoff":
        yield from _at_handoffs(troupe, hands)
    if not troupe.members.keys:
        yield from _at_lists(troupe, hands)


def _limits(leader: Player | None, above: Authority | None) -> Authority | None:
    if leader is None or not isinstance(leader.agent, Agent):
        return above
    return authority_of(leader.agent).within(above)


def _resolved(player: Player, hands: Hands, asked: tuple[str, ...] = ()) -> Authority:
    """Return what an agent may do, names of tools as models call them."""
    assert isinstance(player.agent, Agent)
    authority = authority_of(player.agent)
    has = hands.of(player)

    def called(names: frozenset[str] | None, meant_by: Callable[..., bool] = _means) -> frozenset[str] | None:
        if names is None:
            return None
        return frozenset(
            meant for name in names for meant in [hand.name for hand in has if meant_by(name, hand, player)] or [name]
        )

    return Authority(
        authority.holder,
        authority.grants,
        called(authority.allow),
        called(authority.approve | frozenset(asked)) or frozenset(),
        called(authority.deny, _surely_means) or frozenset(),
        authority.tainted,
    )


def _at_denied(player: Player, hands: list[Hand], allowed: Authority) -> Iterator[Finding]:
    refused = [(hand, why) for hand in hands if hand.name and (why := allowed.why_not(hand.name, hand.needs))]
    for hand, why in refused:
        index = player.references.index(hand.reference)
        none_left = len(refused) == len(hands)
        what = f"{player.name} has {hand.name}, and every call of it is refused: {why.rstrip('.')}"
        more = "; it may use none of its tools" if none_left else ""
        remedy = "grant what it needs, or take the tool away"
        severity: Severity = "error" if none_left else "warning"
        yield finding(CODE, severity, player.file, (*player.keys, "tools", index), what + more, remedy)
    limited = allowed.grants != RIGHTS
    for hand in hands if limited else ():
        if not hand.is_known:
            index = player.references.index(hand.reference)
            what = (
                f"{player.name} is granted {', '.join(sorted(allowed.grants)) or 'nothing'}, and it is not known what"
            )
            what += f" {hand.reference} needs"
            yield finding(CODE, "note", player.file, (*player.keys, "tools", index), what, "look with --import")


def _surely_means(name: str, hand: Hand, player: Player) -> bool:
    return means(name, hand.reference, hand.name, player.file.tools)


def _means(name: str, hand: Hand, player: Player) -> bool:
    """Return whether a name means a tool; of one that was not opened, whether it may."""
    if _surely_means(name, hand, player):
        return True
    return not hand.is_known and may_mean(name, hand.reference, player.file.tools)


def _at_lists(troupe: Troupe, hands: Hands) -> Iterator[Finding]:
    """Yield names of tools in approvals and policies that nobody has, or that nobody is known to have."""
    file = troupe.members.file
    every = [(hand, one) for each in troupe.nested() for one in each.everybody() for hand in hands.of(one)]

    def names(reference: str, of: TeamFile) -> Names:
        found = [hand for hand, one in every if one.file is of and hand.reference == reference]
        if not found or not all(hand.is_known for hand in found):
            return names_unopened(reference, of)
        return Names([hand.name for hand in found], is_all=True)

    for one in unmet_names(file, names):
        what, remedy = one.text, one.hint
        if one.unseen:
            what += " as far as is known without importing"
            tell = f"look with --import what {', '.join(one.unseen)} has"
            remedy = f"{one.hint} If not, {tell}" if one.hint.endswith("?") else tell
        yield finding(CODE, "warning" if one.unseen else "error", file, one.keys, what, remedy)


def _at_taint(player: Player, hands: list[Hand], allowed: Authority) -> Iterator[Finding]:
    if allowed.tainted != "allow":
        return
    outside = [hand.name for hand in hands if hand.is_outside and not hand.changes]
    does = [
        hand.name
        for hand in hands
        if hand.changes and hand.name not in allowed.approve and not allowed.why_not(hand.name, hand.needs)
    ]
    if outside and does:
        what = f"{player.name} reads from outside ({', '.join(outside)}) and may then call {', '.join(does)} unasked"
        remedy = "set `tainted: approve` in its policy, or list the tool under `approvals:`"
        yield finding("tainted", "warning", player.file, (*player.keys, "tools"), what, remedy)


def _at_handoffs(troupe: Troupe, hands: Hands) -> Iterator[Finding]:
    """Yield desks that can do nothing with their tools for any other desk that hands over to them."""
    desks = [one for one in troupe.parts["agents"] if isinstance(one.agent, Agent)]
    for desk in desks:
        has = [hand for hand in hands.of(desk) if hand.is_known]
        own = _resolved(desk, hands)
        others = [one for one in desks if one is not desk]
        for other in others:
            both = own.within(_resolved(other, hands))
            lost = [
                hand.name
                for hand in has
                if not own.why_not(hand.name, hand.needs) and both.why_not(hand.name, hand.needs)
            ]
            if lost:
                what = f"when {other.name} hands over to {desk.name}, {desk.name} may not use {', '.join(lost)}"
                why = f"rights only shrink: {other.name} lacks them"
                yield finding(CODE, "warning", desk.file, (*desk.keys, "tools"), what, why)
