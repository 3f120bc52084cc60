"""`orchestra team check` as a forecast: real runs cost what it says, end where it says, and fail as it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from langgraph.graph import END, START

from cases import HAPPY, give
from checked_team import codes, played, said, team
from nodes import ScriptedChatModel
from nodes.scripted import call
from orchestra.teamfile.checking.bounds import cycles_of
from orchestra.teamfile.checking.failures import consequence
from orchestra.teamfile.checking.report import check_team
from orchestra.teamfile.checking.troupe import troupe_of
from orchestra.teamfile.model import TeamFile
from orchestra.teamfile.reading import parse_team
from state.graph import PatternBuilder

ORDER = {"map_reduce": ["assistant", "splitter"], "router": ["assistant", "writer", "router"]}
"""Agents of the patterns whose scripts name them in another order than the parts."""


def team_of(pattern: str, more: str = "", policy: str = "") -> TeamFile:
    """Return a team of a pattern with the agents that its happy path is scripted for."""
    names = ORDER.get(pattern, list(HAPPY[pattern]))
    agents = "".join(f"  {name}: {{prompt: You are the {name}., description: Does {name}{policy}}}\n" for name in names)
    return parse_team(f"name: t\npattern: {pattern}\nagents:\n{agents}{more}")


# What a run costs


@pytest.mark.parametrize("pattern", HAPPY)
def test_a_real_run_costs_no_less_than_the_cheapest_and_no_more_than_the_dearest(pattern: str) -> None:
    found = team_of(pattern)
    model = ScriptedChatModel(by_agent=HAPPY[pattern])
    result = played(found, model)
    assert result["status"] == "completed"
    tokens = sum(one["usage"]["input_tokens"] + one["usage"]["output_tokens"] for one in result["outcomes"])
    total = check_team(found).estimate.total
    assert total.least.model_calls <= len(model.requests) <= total.most.model_calls
    assert total.least.tokens <= tokens <= total.most.tokens


def test_the_shortest_run_that_succeeds_takes_exactly_the_cheapest() -> None:
    shortest: dict[str, dict[str, list[Any]]] = {
        "supervisor": {"supervisor": [{"answer": "done"}]},
        "router": HAPPY["router"],
        "plan_execute": {
            "planner": [{"subtasks": [{"id": "a", "task": "a", "agent": "assistant"}]}],
            "assistant": ["done"],
        },
        "review": {"writer": ["done"], "critic": [{"verdict": "accept", "issues": [], "score": 1.0}]},
        "handoff": {"assistant": ["done"]},
    }
    for pattern, steps in shortest.items():
        model = ScriptedChatModel(by_agent=steps)
        found = team_of(pattern)
        with model:
            assert played(found, model)["status"] == "completed"
        assert check_team(found).estimate.total.least.model_calls == len(model.requests), pattern


def test_loops_that_run_to_their_bound_take_exactly_the_dearest() -> None:
    revise = {"verdict": "revise", "issues": ["Too short."], "score": 0.1}
    longest: dict[str, dict[str, list[Any]]] = {
        "review": {"writer": ["one", "two", "three"], "critic": [revise] * 3},
        "debate": HAPPY["debate"],
        "group_chat": HAPPY["group_chat"],
        "sequential": HAPPY["sequential"],
        "parallel": HAPPY["parallel"],
    }
    for pattern, steps in longest.items():
        found = team_of(pattern, policy=", policy: {max_attempts: 1}")
        model = ScriptedChatModel(by_agent=steps)
        with model:
            played(found, model)
        assert check_team(found).estimate.total.most.model_calls == len(model.requests), pattern


def test_repairs_retries_and_stand_ins_are_in_the_dearest() -> None:
    found = team(
        "agents:\n  a: {prompt: A., policy: {max_attempts: 2, fallback: [b], backoff: 0}}\n"
        "  c: {prompt: C., policy: {max_attempts: 1}}\n  b: {prompt: B., policy: {max_attempts: 2}}\n"
    )
    model = ScriptedChatModel(by_agent={"a": ["", ""], "b": ["", "fine"], "c": ["done"]})
    with model:
        assert played(found, model)["answer"] == "done"
    total = check_team(found).estimate.total
    assert (total.least.model_calls, total.most.model_calls, len(model.requests)) == (2, 5, 5)


def test_a_team_in_a_team_multiplies() -> None:
    found = team(
        "pattern: review\noptions: {max_rounds: 2}\nagents:\n  desk:\n    agents:\n"
        "      a: {prompt: A., policy: {max_attempts: 1}}\n      b: {prompt: B., policy: {max_attempts: 1}}\n"
        "  critic: {prompt: C., policy: {max_attempts: 1}}\n"
    )
    estimate = check_team(found).estimate
    assert (estimate.total.least.model_calls, estimate.total.most.model_calls) == (3, 6)
    assert [(line.name, line.depth, line.steps) for line in estimate.lines] == [
        ("desk", 0, (1, 2)),
        ("a", 1, (1, 2)),
        ("b", 1, (1, 2)),
        ("critic", 0, (1, 2)),
    ]


def test_prices_are_those_of_the_models_and_unknown_ones_stay_unknown() -> None:
    text = "agents:\n  a: {prompt: A., model: 'openai:gpt-5-mini'}\n  b: {prompt: B.}\n"
    mixed = check_team(team(text)).estimate.total
    assert 0 < mixed.least.usd < mixed.most.usd
    assert mixed.unpriced == {"the run's"}
    known = check_team(team(text), model="openai:gpt-5").estimate.total
    assert not known.unpriced
    assert known.most.usd > mixed.most.usd
    free = check_team(team("agents:\n  a: {prompt: A.}\n"), model="extractive").estimate.total
    assert (free.most.usd, free.unpriced) == (0, frozenset())


def test_a_budget_below_the_cheapest_run_is_an_error_and_one_below_the_dearest_a_note() -> None:
    text = "agents:\n  a: {prompt: A.}\n  b: {prompt: B.}\nbudget: {model_calls: %d}\n"
    short = check_team(team(text % 1))
    assert codes(short, "error") == ["over-budget"]
    assert said(short, "over-budget") == (
        "even the cheapest run takes 2 model calls, and the budget has model_calls: 1; raise it to 2 model calls or more"
    )
    assert "budget-cuts" in codes(check_team(team(text % 3)), "note")
    assert not {"over-budget", "budget-cuts"} & set(codes(check_team(team(text % 6))))


LIST = call("list_documents")
TOOLED = "prompt: Looks things up., description: Looks., tools: [corpus.list]"


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("agents: {a: {%s}, b: {prompt: B.}, c: {%s}}", {"a": [LIST, "x"], "b": ["x"], "c": [LIST, "x"]}),
        (
            "pattern: supervisor\nagents: {a: {%s}, b: {%s}}",
            {
                "supervisor": [json.dumps([give("a"), give("b")]), {"answer": "done"}],
                "a": [LIST, "x"],
                "b": [LIST, "x"],
            },
        ),
        (
            "pattern: supervisor\nagents: {a: {%s}}",
            {"supervisor": [give("a"), {"answer": "done"}], "a": [LIST, "x"]},
        ),
        (
            "pattern: router\nagents: {a: {%s}, b: {prompt: B., description: Other.}}",
            {"router": [{"agents": ["a"], "reason": "Fits."}], "a": [LIST, "x"]},
        ),
        (
            "pattern: handoff\nagents: {a: {%s}, b: {%s}}",
            {"a": [LIST, call("transfer_to_b", reason="Yours.")], "b": [LIST, "x"]},
        ),
        (
            "pattern: review\nagents: {d: {agents: {a: {%s}, b: {prompt: B.}}}, c: {prompt: C.}}",
            {"a": [LIST, "x"], "b": ["x"], "c": [{"verdict": "accept", "issues": [], "score": 1.0}]},
        ),
    ],
)
def test_the_cheapest_run_with_tools_takes_as_many_calls_as_a_real_one(text: str, steps: dict[str, list[Any]]) -> None:
    found = team(text.replace("%s", TOOLED))
    with ScriptedChatModel(by_agent=steps) as model:
        assert played(found, model)["status"] == "completed"
    assert check_team(found).using == len(model.requests)


def test_a_budget_that_leaves_no_call_after_a_tool_is_a_warning() -> None:
    text = "agents: {a: {%s}, b: {prompt: B.}}\nbudget: {model_calls: %d}\n"
    short = check_team(team(text % (TOOLED, 2)))
    assert said(short, "tight-budget") == (
        "the budget has model_calls: 2, and the cheapest run in which a uses a tool once takes 3 model calls; "
        "raise it to 3 or more"
    )
    assert "budget-cuts" not in codes(short)
    assert "tight-budget" not in codes(check_team(team(text % (TOOLED, 3))))
    own = check_team(team(f"pattern: single\nagents: {{a: {{{TOOLED}, policy: {{budget: {{model_calls: 1}}}}}}}}\n"))
    assert "a has 1 model call for one step: none is left once it has used a tool" in said(own, "tight-budget")


def test_an_agent_whose_own_budget_allows_no_call_is_an_error() -> None:
    report = check_team(team("pattern: single\nagents:\n  a: {prompt: A., policy: {budget: {model_calls: 0}}}\n"))
    assert "a needs 1 model call for one step, and has 0" in said(report, "over-budget")


# What happens when somebody fails

FAILS_ALL_THE_SAME = {("handoff", "writer"), ("hierarchical", "assistant"), ("plan_execute", "assistant")}
"""Who is asked again and again, by a script that cannot take back what it says."""


@pytest.mark.parametrize("pattern", HAPPY)
def test_what_is_said_of_failures_is_what_happens_in_a_run(pattern: str) -> None:
    found = team_of(pattern)
    troupe = troupe_of(found)
    for part, player in troupe.players():
        if player.name not in HAPPY[pattern]:
            continue
        steps: dict[str, list[Any]] = {one.name: ["done"] * 4 for _, one in troupe.players()}
        steps |= {name: list(given) * 4 for name, given in HAPPY[pattern].items()}
        steps[player.name] = [ValueError("down")] * 30
        result = played(found, ScriptedChatModel(by_agent=steps))
        if consequence(troupe, part, player).ends:
            assert result["status"] != "completed", (part, player.name)
        elif (pattern, player.name) not in FAILS_ALL_THE_SAME:
            assert result["answer"], (part, player.name)


def test_a_stand_in_is_a_failure_path_and_the_run_completes_by_it() -> None:
    text = "pattern: single\nagents:\n  a: {prompt: A.%s}\n%s"
    assert "there is no answer" in said(check_team(team(text % ("", ""))), "no-failure-path")
    helped = team(text % (", policy: {fallback: [b]}", "  b: {prompt: B.}\n"))
    assert not codes(check_team(helped))
    steps: dict[str, list[Any]] = {"a": [ValueError("down")], "b": ["done"]}
    result = played(helped, ScriptedChatModel(by_agent=steps))
    assert (result["status"], result["answer"]) == ("completed", "done")


def test_a_model_does_not_stand_in_for_itself() -> None:
    text = "pattern: single\nmodel: 'openai:gpt-5'\nagents:\n  a: {prompt: A., policy: {fallback: ['openai:%s']}}\n"
    assert codes(check_team(team(text % "gpt-5"))) == ["no-failure-path"]
    assert not codes(check_team(team(text % "gpt-5-mini")))


def test_an_approval_that_nobody_gives_needs_an_end() -> None:
    text = (
        "pattern: single\nagents:\n  a: {prompt: A., tools: [corpus.search], policy: {on_failure: escalate}}\n"
        "approvals: [corpus.search]\n"
    )
    assert "waits for an approval for ever" in said(check_team(team(text)), "no-failure-path")
    assert not codes(check_team(team(text + "options: {approval_expires: 60}\n")))


def test_what_the_file_of_an_inner_team_says_of_a_whole_run_is_said_to_be_ignored(tmp_path: Path) -> None:
    inner = "name: inner\nagents: {a: {prompt: A.}, b: {prompt: B.}}\nbudget: {model_calls: 1}\n"
    (tmp_path / "inner.yaml").write_text(inner)
    outer = parse_team("name: outer\npattern: single\nagents: {t: {team: inner.yaml}}\n", path=tmp_path / "team.yaml")
    assert "the budget of inner does not count" in said(check_team(outer), "ignored")
    assert played(outer, ScriptedChatModel(by_agent={"a": ["one"], "b": ["two"]}))["status"] == "completed"


def test_tasks_that_are_lost_with_their_agent_are_named() -> None:
    report = check_team(
        team(
            "agents: {a: {prompt: A.}, b: {prompt: B.}}\ntasks:\n  one: {description: '{task}', agent: a}\n"
            "  two: {description: x, agent: b}\n  three: {description: y, agent: b}\n"
        )
    )
    assert said(report, "no-failure-path").startswith("when a fails, what needs its result is skipped: two, three;")


def test_tasks_of_any_team_are_forecast_to_be_done_once(tmp_path: Path) -> None:
    known = "agents: {a: {prompt: A.}}\ntasks: {one: {description: '{task}', agent: a}}\npolicy: {max_attempts: 1}\n"
    (tmp_path / "inner.yaml").write_text("name: inner\n" + known)
    for text in (known, "agents: {t: {team: inner.yaml}}\n"):
        report = check_team(parse_team("name: outer\n" + text, path=tmp_path / "team.yaml"))
        assert (report.loops, report.estimate.total.most.model_calls) == ((), 1)
    assert "max_replans of t does not count" in said(check_team(team(known + "options: {max_replans: 1}\n")), "ignored")


def test_a_model_that_is_given_counts_for_the_agents_of_a_nested_file_too(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text("name: inner\nmodel: openai:gpt-5-mini\nagents: {a: {prompt: A.}}\n")
    outer = parse_team("name: outer\npattern: single\nagents: {t: {team: inner.yaml}}\n", path=tmp_path / "team.yaml")
    assert "openai:gpt-5-mini" in {line.model for line in check_team(outer).estimate.lines}
    given = {line.model for line in check_team(outer, model="openai:gpt-5").estimate.lines}
    assert ("openai:gpt-5" in given, "openai:gpt-5-mini" in given) == (True, False)


def test_fail_fast_and_a_quorum_of_everybody_take_the_failure_path_away() -> None:
    text = "pattern: parallel\nagents: {a: {prompt: A.}, b: {prompt: Other words.}}\n"
    assert not codes(check_team(team(text)))
    assert codes(check_team(team(text + "options: {on_failure: fail_fast}\n"))) == ["no-failure-path"]
    assert codes(check_team(team(text + "options: {quorum: 2}\n"))) == ["no-failure-path"]


def test_agents_whose_failures_nothing_catches_are_one_finding_with_the_place_that_mends_all() -> None:
    text = "agents:\n  a: {prompt: A.}\n  b: {prompt: B.}\n  c: {agents: {d: {prompt: D.}}}\n"
    (one,) = check_team(team(text)).findings
    assert one.text == (
        "when a, b (line 4) or d in c (line 5) fails, nothing makes up for it: without a, the run ends there, before b, c"
    )
    assert "with a `policy` at the top of the file" in one.remedy
    assert (one.place.line, one.place.column) == (3, 3)
    assert one.to_json()["others"] == [{"line": 4, "column": 3}, {"line": 5, "column": 16}]
    assert "in the `policy` of the file (line 6)" in said(check_team(team(text + "policy: {timeout: 9}\n")), one.code)
    for mended in ("{on_failure: escalate}", "{fallback: ['openai:gpt-5-mini']}"):
        assert not codes(check_team(team(text + f"policy: {mended}\n"))), mended


def test_an_agent_with_a_word_of_its_own_about_failures_is_not_among_those_that_the_file_mends() -> None:
    text = "agents:\n  a: {prompt: A.}\n  b: {prompt: B., policy: {on_failure: fail}}\n"
    first, second = check_team(team(text)).findings
    assert first.text.startswith("when a fails, ")
    assert second.text.startswith("when b fails, ")
    assert codes(check_team(team(text + "policy: {on_failure: escalate}\n"))) == ["no-failure-path"]


def test_people_need_a_time_limit_and_somebody_for_when_it_is_over() -> None:
    text = "agents:\n  boss: {human: true%s}\n  a: {prompt: A., policy: {on_failure: escalate}}\n"
    assert "waits for boss for ever" in said(check_team(team(text % "")), "no-failure-path")
    assert "name a `backup:`" in said(check_team(team(text % ", due: 60")), "no-failure-path")
    assert not codes(check_team(team(text % ", due: 60, backup: b" + "  b: {prompt: B.}\n")))


# Loops


@pytest.mark.parametrize("pattern", HAPPY)
def test_every_loop_of_a_pattern_has_a_way_out_and_a_bound_is_named(pattern: str) -> None:
    found = team_of(pattern)
    report = check_team(found)
    assert "unbounded" not in codes(report)
    goes_round = cycles_of(troupe_of(found).builder)
    assert all(cycle.exits for cycle in goes_round)
    assert bool(goes_round) <= bool(report.loops)


def test_a_cycle_without_a_router_that_leads_out_is_seen() -> None:
    builder = PatternBuilder()
    for name in ("a", "b", "c"):
        builder.add_node(name, lambda state: {})  # a node
    builder.add_edge(START, "a")
    builder.add_edge("a", "b")
    builder.add_edge("b", "a")
    builder.add_conditional_edges("c", lambda _: END, ["c", END])
    closed, open_ = cycles_of(builder)
    assert (closed.nodes, closed.exits) == (("a", "b"), ())
    assert (open_.nodes, open_.exits) == (("c",), ("c",))


def test_loops_that_multiply_ask_for_a_budget() -> None:
    text = "pattern: supervisor\nagents: {a: {prompt: A., description: x}}\n"
    assert "up to 2,910 model calls" in said(check_team(team(text)), "costly")
    assert "costly" not in codes(check_team(team(text + "budget: {usd: 1}\n")))
    one = check_team(team("pattern: supervisor\nagents: {a: {prompt: A., description: x}}\noptions: {max_turns: 1}\n"))
    assert "costly" not in codes(one)


def test_an_agent_with_tools_and_no_limit_at_all_is_unbounded() -> None:
    text = "pattern: single\nagents: {a: {prompt: A., tools: [corpus.search], policy: {budget: {}}}}\n"
    assert "unbounded" in codes(check_team(team(text)), "error")
    assert "unbounded" in codes(check_team(team(text + "budget: {usd: 1}\n")), "warning")
