"""Budgets: whatever the order of parallel calls, a cap is never passed, every waiter ends, and nothing is half reserved."""

from __future__ import annotations

import asyncio
import threading
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain.agents.middleware.types import ModelRequest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from acting import executing, run
from graphs import map_reduce, parallel, sequential, single
from nodes import Agent, Policy, ScriptedChatModel
from nodes.layers.budget import upper_token_count
from nodes.layers.record import usage_of
from nodes.prices import price
from nodes.scripted import Step, call
from state import Budget, Context, Usage
from state.budget import Account, Amount
from state.errors import BudgetExceeded

LIMITS = ("model_calls", "tool_calls", "tokens", "usd")

caps = st.none() | st.integers(0, 12)
budgets = st.builds(Budget, model_calls=caps, tool_calls=caps, tokens=caps, usd=caps)
amounts = st.builds(
    Amount,
    model_calls=st.integers(0, 3),
    tool_calls=st.integers(0, 3),
    tokens=st.integers(0, 5),
    usd=st.sampled_from([0.0, 0.1, 0.2, 0.3, 2.0]),
)


def part(amount: Amount, share: float) -> Amount:
    """Return what was really spent of an amount."""
    return Amount(amount.model_calls, amount.tool_calls, int(amount.tokens * share), round(amount.usd * share, 6))


def tree(budgets: list[Budget]) -> list[Account]:
    """Return a run's account with teams below it and agents below those, as many as there are budgets."""
    accounts = [Account(owner="run", budget=budgets[0])]
    for number, budget in enumerate(budgets[1:]):
        accounts.append(Account(owner=f"a{number}", budget=budget, parent=accounts[number // 2]))
    return accounts


def books(accounts: list[Account]) -> list[tuple[Amount, Amount]]:
    return [(account.spent, account.reserved) for account in accounts]


def assert_within_caps(accounts: list[Account]) -> None:
    for account in accounts:
        for limit in LIMITS:
            cap = getattr(account.budget, limit)
            used = getattr(account.spent, limit) + getattr(account.reserved, limit)
            assert cap is None or round(used, 9) <= cap, (account.owner, limit)


async def in_the_end(work: Any) -> Any:
    """Wait for what must end by itself. The limit is only there so that a deadlock is a failure and not a hang."""
    async with asyncio.timeout(20):
        return await work


# --- the books


@settings(deadline=None)
@given(st.lists(budgets, min_size=1, max_size=7), st.data())
def test_no_order_of_reserving_and_settling_passes_a_cap(limits: list[Budget], data: st.DataObject) -> None:
    accounts = tree(limits)
    in_flight: list[tuple[Account, Amount]] = []
    for _ in range(data.draw(st.integers(1, 25))):
        if data.draw(st.booleans()) and in_flight:
            account, amount = in_flight.pop(data.draw(st.integers(0, len(in_flight) - 1)))
            account.settle(amount, part(amount, data.draw(st.floats(0, 1))))
        else:
            account, amount = data.draw(st.sampled_from(accounts)), data.draw(amounts)
            before = books(accounts)
            try:
                account.reserve(amount)
                in_flight.append((account, amount))
            except BudgetExceeded:
                assert books(accounts) == before
        assert_within_caps(accounts)
    for account, amount in in_flight:
        account.settle(amount, amount)
    assert all(account.reserved == Amount() for account in accounts)
    assert_within_caps(accounts)


@settings(deadline=None)
@given(st.lists(budgets, min_size=1, max_size=5), st.lists(st.tuples(amounts, st.floats(0, 1)), max_size=12), st.data())
def test_everyone_who_waits_for_room_gets_it_or_is_refused(
    limits: list[Budget], wanted: list[tuple[Amount, float]], data: st.DataObject
) -> None:
    accounts = tree(limits)
    picks = [(data.draw(st.sampled_from(accounts)), data.draw(st.integers(0, 3))) for _ in wanted]

    async def take(account: Account, amount: Amount, share: float, turns: int) -> bool:
        try:
            await account.reserve_when_free(amount)
        except BudgetExceeded:
            fits = [a._refusal(amount, Amount()) is None for a in account.lineage()]
            assert not all(fits), "refused although it fits once the others have settled"
            return False
        assert_within_caps(accounts)
        for _ in range(turns):
            await asyncio.sleep(0)
        account.settle(amount, part(amount, share))
        assert_within_caps(accounts)
        return True

    async def everyone() -> None:
        todo = [take(a, w, share, turns) for (a, turns), (w, share) in zip(picks, wanted, strict=True)]
        await in_the_end(asyncio.gather(*todo))

    asyncio.run(everyone())
    assert all(account.reserved == Amount() for account in accounts)
    assert all(not account._waiting for account in accounts)


async def test_a_reservation_of_its_own_is_not_what_a_waiter_waits_for() -> None:
    run = Account(owner="run", budget=Budget(tokens=100))
    agent, other = (Account(owner=name, budget=Budget(tokens=1000), parent=run) for name in "ab")
    agent.reserve(Amount(tokens=10))
    other.reserve(Amount(tokens=90))
    waiting = asyncio.ensure_future(agent.reserve_when_free(Amount(tokens=50)))
    await asyncio.sleep(0)
    other.settle(Amount(tokens=90), Amount(tokens=5))
    await in_the_end(waiting)
    assert run.reserved == Amount(tokens=60)


async def test_what_can_never_fit_is_refused_without_waiting_for_others() -> None:
    run = Account(owner="run", budget=Budget(tokens=100))
    agent = Account(owner="agent", budget=Budget(model_calls=0), parent=run)
    run.reserve(Amount(tokens=100))
    with pytest.raises(BudgetExceeded, match="budget of agent reached: model_calls 0 of 0"):
        await agent.reserve_when_free(Amount(model_calls=1, tokens=1))


async def test_waiters_are_served_in_the_order_they_came() -> None:
    account, served = Account(owner="run", budget=Budget(tokens=100)), list[int]()

    async def take(number: int) -> None:
        await account.reserve_when_free(Amount(tokens=60))
        served.append(number)
        await asyncio.sleep(0)
        account.settle(Amount(tokens=60), Amount())

    await in_the_end(asyncio.gather(*map(take, range(20))))
    assert served == list(range(20))


async def test_a_waiter_that_is_cancelled_leaves_nothing_behind() -> None:
    account = Account(owner="run", budget=Budget(tokens=10))
    account.reserve(Amount(tokens=10))
    waiting = [asyncio.ensure_future(account.reserve_when_free(Amount(tokens=n))) for n in (4, 5, 6)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.gather(waiting[1], return_exceptions=True)
    account.settle(Amount(tokens=10), Amount())
    await in_the_end(asyncio.gather(waiting[0], waiting[2]))
    assert account.reserved == Amount(tokens=10)


async def test_a_settlement_on_another_thread_wakes_a_waiter() -> None:
    account = Account(owner="run", budget=Budget(model_calls=1))
    account.reserve(Amount(model_calls=1))
    waiting = asyncio.ensure_future(account.reserve_when_free(Amount(model_calls=1)))
    await asyncio.sleep(0)
    threading.Thread(target=account.settle, args=(Amount(model_calls=1), Amount())).start()
    await in_the_end(waiting)
    assert account.reserved == Amount(model_calls=1)


def test_threads_that_reserve_at_once_share_the_room_exactly() -> None:
    account, got, start = Account(owner="run", budget=Budget(tokens=1000)), count(), threading.Barrier(8)

    def take() -> None:
        start.wait()
        for _ in range(500):
            try:
                Account(owner="agent", parent=account).reserve(Amount(tokens=1))
            except BudgetExceeded:
                return
            next(got)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert next(got) == account.reserved.tokens == 1000


async def test_an_account_that_must_not_wait_refuses_at_once() -> None:
    run = Account(owner="run", budget=Budget(tokens=10))
    run.reserve(Amount(tokens=10))
    with pytest.raises(BudgetExceeded):
        await Account(owner="run", parent=run, waits=False).reserve_when_free(Amount(tokens=1))


def test_room_is_the_tightest_of_the_lineage_and_the_refusal_names_whose_it_is() -> None:
    run = Account(owner="run of x", budget=Budget(tokens=50, usd=1.0))
    agent = Account(owner="agent", budget=Budget(tokens=80), parent=run)
    agent.settle(Amount(), Amount(tokens=30, usd=0.25))
    agent.reserve(Amount(tokens=5))
    assert (agent.room("tokens"), agent.room("usd"), Account(owner="free").room("tokens")) == (15, 0.75, None)
    assert str(agent.exhausted("tokens")) == "budget of run of x reached: tokens 35 of 50"
    with pytest.raises(BudgetExceeded, match="budget of run of x reached: tokens 35 of 50"):
        agent.reserve(Amount(tokens=16))


def test_sums_of_cents_fill_a_cap_exactly() -> None:
    account = Account(owner="run", budget=Budget(usd=0.3))
    for _ in range(3):
        account.reserve(Amount(usd=0.1))
    with pytest.raises(BudgetExceeded):
        account.reserve(Amount(usd=0.001))


def test_time_runs_out_for_all_below_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("state.budget.time.monotonic", lambda: now[0])
    run = Account(owner="run", budget=Budget(seconds=10), started=100.0)
    agent = Account(owner="agent", budget=Budget(seconds=30), parent=run, started=105.0)
    now[0] = 107.0
    assert agent.seconds_left() == 3.0
    agent.reserve(Amount(model_calls=1))
    now[0] = 110.0
    with pytest.raises(BudgetExceeded, match="budget of run reached: seconds 10 of 10"):
        agent.reserve(Amount(model_calls=1))


def test_adopted_usage_counts_in_every_account_above() -> None:
    run = Account(owner="run", budget=Budget(model_calls=3))
    team = Account(owner="team", parent=run)
    team.adopt(Usage(model_calls=2, tool_calls=1, input_tokens=10, output_tokens=5, usd=None))
    assert run.spent == team.spent == Amount(model_calls=2, tool_calls=1, tokens=15, usd=0.0)
    with pytest.raises(BudgetExceeded):
        team.reserve(Amount(model_calls=2))


# --- runs


class HonestModel(BaseChatModel):
    """A provider that keeps to `max_tokens`: it wants to say some words, and is cut off where it may not."""

    wanted: int

    @property
    def _llm_type(self) -> str:
        return "honest"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        await asyncio.sleep(0.001 * (self.wanted % 3))
        told, said = sum(len(m.text.split()) for m in messages), min(self.wanted + 1, kwargs["max_tokens"])
        message = AIMessage(
            "word " * said, response_metadata={"finish_reason": "length" if said <= self.wanted else "stop"}
        )
        message.usage_metadata = UsageMetadata(input_tokens=told + 3, output_tokens=said, total_tokens=told + 3 + said)
        return ChatResult(generations=[ChatGeneration(message=message)])


def spent_tokens(result: dict[str, Any]) -> int:
    usages = [outcome["usage"] for outcome in result["outcomes"]]
    return sum(usage["input_tokens"] + usage["output_tokens"] for usage in usages)


@pytest.mark.parametrize(("cap", "width"), [(500, 8), (3000, 8), (3000, 100), (20_000, 16)])
async def test_a_hundred_parallel_agents_stay_within_a_token_cap(cap: int, width: int) -> None:
    agents = [Agent(f"agent{n}", model=HonestModel(wanted=n % 40)) for n in range(100)]
    graph = parallel.build(agents).compile(name="crowd")
    context = Context(budget=Budget(tokens=cap), max_concurrency=width)
    result = await in_the_end(graph.ainvoke({"task": "Say something."}, context=context))
    assert 0.8 * min(cap, 2800) < spent_tokens(result) <= cap
    good = [outcome for outcome in result["outcomes"] if outcome["status"] == "ok"]
    assert len(result["outcomes"]) == 100
    assert {outcome["status"] for outcome in result["outcomes"]} <= {"ok", "stopped"}
    assert result["status"] == ("completed" if len(good) == 100 else "partial")
    assert all(outcome["output"] in result["answer"] for outcome in good)
    assert result["structured"] is None or len(result["structured"]["parts"]) == len(good)
    if len(good) < 100:
        assert "budget of run of crowd reached: tokens" in result["reason"]


async def test_a_hundred_parallel_agents_share_the_calls_of_a_run_exactly() -> None:
    agents = [Agent(f"agent{n}", model=ScriptedChatModel([Step("x", delay=0.001)])) for n in range(100)]
    context = Context(budget=Budget(model_calls=37), max_concurrency=20)
    result = await in_the_end(parallel.build(agents).compile(name="crowd").ainvoke({"task": "t"}, context=context))
    assert sum(outcome["usage"]["model_calls"] for outcome in result["outcomes"]) == 37
    assert sum(outcome["status"] == "ok" for outcome in result["outcomes"]) == 37


def test_an_answer_cut_where_the_budget_ends_is_kept_and_the_step_is_stopped() -> None:
    model = ScriptedChatModel([Step("half of an ans", finish_reason="length")])
    graph = single.build(Agent("a", model=model)).compile(name="x")
    result = graph.invoke({"task": "t"}, context=Context(budget=Budget(tokens=60)))
    assert (result["status"], result["answer"], len(model.requests)) == ("stopped", "half of an ans", 1)
    assert "BudgetExceeded: budget of run of x reached: tokens" in result["reason"]


def test_unknown_prices_are_not_counted_and_known_ones_are_also_behind_an_unknown_one() -> None:
    usage = {"input_tokens": 1000, "output_tokens": 1000}
    cost = price("openai:gpt-4o", usage)
    assert cost is not None
    priced = [Step(call("noop"), usage=usage), Step("never", usage=usage)]
    agent = Agent(
        "a",
        model=ScriptedChatModel([ValueError("down"), ValueError("down")]),
        tools=[noop],
        policy=Policy(fallback=(ScriptedChatModel(priced, stands_for="openai:gpt-4o"),), backoff=0.001),
    )
    result = single.build(agent).compile().invoke({"task": "t"}, context=Context(budget=Budget(usd=cost * 1.01)))
    (outcome,) = result["outcomes"]
    assert outcome["status"] == "stopped"
    assert outcome["usage"]["model_calls"] == 3
    assert (outcome["error"] or {})["type"] == "BudgetExceeded"


def test_calls_after_one_of_unknown_price_still_count_against_the_money() -> None:
    usage = {"input_tokens": 1000, "output_tokens": 1000}
    cost = price("openai:gpt-4o", usage)
    assert cost is not None
    unknown = ScriptedChatModel([Step(call("noop"), usage=usage), ValueError("down"), ValueError("down")])
    known = ScriptedChatModel([Step(call("noop"), usage=usage), Step("x", usage=usage)], stands_for="openai:gpt-4o")
    agent = Agent("a", model=unknown, tools=[noop], policy=Policy(fallback=(known,)))
    result = single.build(agent).compile().invoke({"task": "t"}, context=Context(budget=Budget(usd=cost * 1.01)))
    (outcome,) = result["outcomes"]
    assert (outcome["status"], len(known.requests)) == ("stopped", 1)
    assert outcome["usage"]["usd"] is None


def test_the_upper_count_of_tokens_holds_for_text_that_tokenizes_badly() -> None:
    asked = [{"name": "f", "args": {"x": "7" * 100}, "id": "1"}]
    for text, tokens in (("7,8;9!" * 50, 300), ("\N{GRINNING FACE}" * 50, 150), ("word " * 100, 100)):
        request: Any = ModelRequest(model=ScriptedChatModel([]), messages=[HumanMessage(text)])
        assert upper_token_count(request) >= tokens
    request = ModelRequest(model=ScriptedChatModel([]), messages=[AIMessage("", tool_calls=asked)])
    assert upper_token_count(request) >= 100


def test_where_a_provider_counts_nothing_the_prompt_the_tools_and_the_schema_are_estimated_too() -> None:
    def tokens_of(**more: Any) -> int:
        agent = Agent("a", model=ScriptedChatModel([Step('{"text": "ok"}', usage={})]), **more)
        return int(single.build(agent).compile().invoke({"task": "t"})["outcomes"][0]["usage"]["input_tokens"])

    def long(text: str) -> str:
        return text

    long.__doc__ = "Word. " * 400
    shape = {"title": "Answer", "type": "object", "properties": {"text": {"type": "string", "description": "w " * 800}}}
    bare = tokens_of()
    assert bare < 20
    assert tokens_of(prompt="word " * 400) - bare >= 500
    assert tokens_of(tools=[long]) - bare >= 600
    assert tokens_of(response_format=shape) - bare >= 400


async def test_an_estimate_is_within_what_was_reserved_for_it() -> None:
    model = ScriptedChatModel([Step(call("noop"), usage={}), Step("done", usage={})])
    agent = Agent("a", prompt="word " * 400, tools=[noop], model=model)
    request: Any = ModelRequest(
        model=model, messages=[HumanMessage("t")], system_message=SystemMessage(agent.prompt), tools=[tool(noop)]
    )
    assert usage_of("scripted", request, AIMessage("ok"))["input_tokens"] <= upper_token_count(request)
    result = await single.build(agent).compile().ainvoke({"task": "t"}, context=Context(budget=Budget(tokens=1400)))
    assert result["status"] == "stopped", "two calls with that prompt do not fit"
    assert spent_tokens(result) <= 1400


# --- graphs that a step calls by itself


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
@pytest.mark.parametrize("kind", ["tool", "function"])
def test_a_graph_that_a_step_calls_by_itself_is_paid_by_the_step(kind: str, sync: bool) -> None:
    model = ScriptedChatModel(["I"] * 9)
    inner = single.build(Agent("inner", model=model)).compile(name="inner")

    async def ask_team(task: str) -> str:
        """Ask the team."""
        return " ".join([(await inner.ainvoke({"task": f"{task} {n}"}))["status"] for n in range(8)])

    def ask_team_sync(task: str) -> str:
        """Ask the team."""
        return " ".join([inner.invoke({"task": f"{task} {n}"})["status"] for n in range(8)])

    ask = ask_team_sync if sync else ask_team
    own = ScriptedChatModel([call(ask.__name__, task="x"), "never"])
    policy = Policy(budget=Budget(model_calls=3))
    asker = Agent("asker", tools=[ask], model=own, policy=policy) if kind == "tool" else ask
    name = "asker" if kind == "tool" else ask.__name__
    plan = {"subtasks": [{"id": "s", "task": "t", "agent": name, "depends_on": []}]}
    result = run(executing(plan, [asker], budgets={name: Budget(model_calls=3)}))
    (outcome,) = result["outcomes"]
    assert outcome["usage"]["model_calls"] == len(model.requests) + len(own.requests) == 3
    if kind == "tool":
        assert "budget of asker reached: model_calls 3 of 3" in outcome["error"]["message"]
    else:
        assert outcome["output"] == "completed completed completed stopped stopped stopped stopped stopped"


async def test_sync_code_that_blocks_the_loop_pays_for_its_graphs_too() -> None:
    model = ScriptedChatModel(["I"] * 9)
    inner = single.build(Agent("inner", model=model)).compile(name="inner")

    @tool
    async def ask_team(task: str) -> str:
        """Ask the team."""
        return " ".join([inner.invoke({"task": f"{task} {n}"})["status"] for n in range(4)])

    own = ScriptedChatModel([call("ask_team", task="x"), "never"])
    asker = Agent("asker", tools=[ask_team], model=own, policy=Policy(budget=Budget(model_calls=3)))
    (outcome,) = (await in_the_end(single.build(asker).compile().ainvoke({"task": "t"})))["outcomes"]
    assert (outcome["status"], outcome["usage"]["model_calls"], len(model.requests)) == ("stopped", 3, 2)


@pytest.mark.parametrize("kind", ["agent", "function"])
def test_a_budget_given_to_a_worker_holds_for_what_stands_in_for_it(kind: str) -> None:
    model = ScriptedChatModel([call("noop"), call("noop"), "done"])
    second: Any = Agent("second", tools=[noop], model=model)
    if kind == "function":
        inner = single.build(second).compile(name="inner")

        async def second(task: str) -> str:
            return str((await inner.ainvoke({"task": task}))["status"])

    policy = Policy(max_attempts=1, fallback=(second,), budget=Budget(model_calls=9))
    worker = Agent("w", model=ScriptedChatModel([ValueError("x")] * 2), policy=policy)
    plan = {"subtasks": [{"id": "s", "task": "t", "agent": "w", "depends_on": []}]}
    result = run(executing(plan, [worker], budgets={"w": Budget(model_calls=3)}))
    (outcome,) = result["outcomes"]
    assert (outcome["agent"], outcome["usage"]["model_calls"], len(model.requests)) == ("second", 3, 2)
    if kind == "agent":
        assert outcome["error"]["message"] == "budget of w reached: model_calls 3 of 3"


def test_the_budget_of_a_policy_is_not_that_of_what_stands_in() -> None:
    second = Agent("second", model=ScriptedChatModel(["done"]))
    policy = Policy(max_attempts=1, fallback=(second,), budget=Budget(model_calls=1))
    worker = Agent("w", model=ScriptedChatModel([ValueError("x")]), policy=policy)
    assert single.build(worker).compile().invoke({"task": "t"})["answer"] == "done"


def noop() -> str:
    """Do nothing."""
    return "done"


# --- runs that are taken up again


def config_of(name: str) -> Any:
    return {"configurable": {"thread_id": name}}


@pytest.mark.parametrize("ended", range(3))
async def test_a_map_cut_off_in_the_middle_keeps_what_its_branches_had_spent(ended: int) -> None:
    """The process dies when some of three branches have ended: those and the splitter count in the next one, too."""
    stuck, healed = list[str](), False
    inner = single.build(Agent("inner")).compile(name="inner")

    async def work(item: str) -> str:
        if item in ("x", "y", "z")[ended:] and not healed:
            stuck.append(item)
            await asyncio.Event().wait()
        return str((await inner.ainvoke({"task": item}))["answer"])

    model = ScriptedChatModel(by_agent={"splitter": [{"items": ["x", "y", "z"]}], "inner": ["one", "two", "three"]})
    graph = map_reduce.build(work).compile(InMemorySaver(), name="map")
    context = Context(model=model, budget=Budget(model_calls=3))
    run = asyncio.ensure_future(graph.ainvoke({"task": "t"}, config_of("t"), context=context))
    while len(model.requests) < 1 + ended or len(stuck) < 3 - ended:
        await asyncio.sleep(0.001)
    while len((await graph.aget_state(config_of("t"))).values["outcomes"]) < 1 + ended:
        await asyncio.sleep(0.001)  # until the branches that ended are saved
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    healed = True
    result = await in_the_end(graph.ainvoke(None, config_of("t"), context=context))
    assert len(model.requests) == 3
    assert [outcome["status"] for outcome in result["outcomes"]].count("ok") == 3
    assert result["status"] == "partial"


async def test_a_team_cut_off_in_the_middle_keeps_what_it_had_spent() -> None:
    reached, healed = asyncio.Event(), False

    async def gate(task: str) -> str:
        reached.set()
        if not healed:
            await asyncio.Event().wait()
        return "open"

    model = ScriptedChatModel(["one", "two", "three", "four", "five"])
    b, c, d = (Agent(name, model=model) for name in "bcd")
    team = sequential.build([b, gate, c, d]).compile(name="team")
    graph = sequential.build([Agent("a", model=model), team]).compile(InMemorySaver(), name="outer")
    context = Context(budget=Budget(model_calls=3))
    run = asyncio.ensure_future(graph.ainvoke({"task": "t"}, config_of("t"), context=context))
    await in_the_end(reached.wait())
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    assert len(model.requests) == 2
    healed = True
    result = await in_the_end(graph.ainvoke(None, config_of("t"), context=context))
    assert (len(model.requests), result["status"]) == (3, "stopped")
    assert result["outcomes"][-1]["usage"]["model_calls"] == 2


def test_an_agent_that_paused_in_a_tool_keeps_count_of_its_calls() -> None:
    def ask_someone(question: str) -> str:
        """Ask."""
        return str(interrupt({"question": question}))

    script = [call("noop"), call("ask_someone", question="why?"), call("noop"), "because", "never"]
    model = ScriptedChatModel(script)
    agent = Agent("a", model=model, tools=[noop, ask_someone], policy=Policy(budget=Budget(model_calls=4)))
    graph = single.build(agent).compile(InMemorySaver())
    graph.invoke({"task": "t"}, config_of("t"))
    (request,) = graph.get_state(config_of("t")).interrupts
    result = graph.invoke(Command(resume={request.id: "it is so"}), config_of("t"))
    (outcome,) = result["outcomes"]
    assert (result["answer"], outcome["attempts"]) == ("because", 4)
    assert (outcome["usage"]["model_calls"], outcome["usage"]["tool_calls"]) == (4, 3)
    tight = Agent(
        "a", model=ScriptedChatModel(script), tools=[noop, ask_someone], policy=Policy(budget=Budget(model_calls=3))
    )
    graph = single.build(tight).compile(InMemorySaver())
    graph.invoke({"task": "t"}, config_of("t"))
    (request,) = graph.get_state(config_of("t")).interrupts
    result = graph.invoke(Command(resume={request.id: "it is so"}), config_of("t"))
    assert (result["status"], result["outcomes"][0]["usage"]["model_calls"]) == ("stopped", 3)
