"""A thread for the picture of a report: a team settles a complaint, loses a model for a moment, and asks a person overnight.

Everything in it is fixed, times and ids too, so that the page is the same on every machine.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage

from orchestra.reporting.figures import agent_figures
from orchestra.reporting.material import Material
from orchestra.reporting.page import page
from orchestra.thread import Moment
from orchestra.tracing import read_trace
from state.audit import GENESIS, Draft, Record, sealed
from state.budget import Budget
from state.chain import Verified
from state.events import Event, EventKind

BEGAN = datetime(2026, 3, 2, 16, 40, 5, tzinfo=UTC).timestamp()
NIGHT = 15 * 3600 + 37 * 60.0
THREAD = "support-4f2a91"
MODEL = "openai:gpt-5-mini"
TASK = "Order 1042 arrived broken, and the customer wants the money back. Settle it, and write to her."
ANSWER = """Dear Ms Okafor,

I am sorry that your **teapot** arrived broken. We have paid **€38.50** back to the card you used; it can take *three working
days* to show.

- You need not send anything back.
- If you would like a replacement, this voucher takes 10 % off: `SORRY-10`.

Kind regards
"""
USD_IN, USD_OUT = 0.25e-6, 2e-6


class Tape:
    """Events of a thread, each a given time after the beginning."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.run, self._seq = "run-1", count(1)

    def put(self, kind: EventKind, after: float, step: str = "", parent: str = "", /, **data: Any) -> None:
        agent = str(data.pop("who", step.partition("#")[0]))
        at, seq = BEGAN + after, next(self._seq)
        run = "" if kind == "noted" else self.run
        event = Event(
            kind=kind, run=run, thread=THREAD, agent=agent, step=step, parent=parent, seq=seq, at=at, data=data
        )
        self.events.append(event)

    def begin(
        self, after: float, step: str, task: str, parent: str = "", /, *, sender: str = "user", **given: Any
    ) -> None:
        self.put("agent_started", after, step, parent, task=task, sender=sender, given=given)

    def call(
        self, after: float, seconds: float, step: str, tokens: tuple[int, int], parent: str = "", **data: Any
    ) -> None:
        spent, said = tokens
        usd = spent * USD_IN + said * USD_OUT
        told = {"model": MODEL, "input_tokens": spent, "output_tokens": said, "usd": usd, "tools": [], **data}
        self.put("model_called", after, step, parent, seconds=seconds, **told)

    def tool(self, after: float, seconds: float, step: str, tool: str, parent: str = "", **data: Any) -> None:
        self.put("tool_called", after, step, parent, **{"tool": tool, "status": "success", "seconds": seconds, **data})

    def end(self, after: float, step: str, seconds: float, output: str, parent: str = "", **data: Any) -> None:
        told = {"status": "ok", "attempts": 1, "seconds": seconds, "error": None, "output": output, **data}
        self.put("agent_finished", after, step, parent, **told)


def given(prompt: int, task: int, **context: int) -> dict[str, Any]:
    """Return what an agent was given, as the record has it: names and sizes in characters."""
    return {"prompt": prompt, "task": task, "context": context}


def events() -> list[Event]:
    """Return what happened."""
    tape = Tape()
    tape.put("noted", 0, note="started", task=TASK)
    _evening(tape)
    tape.run = "run-2"
    tape.put(
        "noted",
        NIGHT,
        note="answered",
        decision="approve",
        request="9c1f77d0",
        message="She has been with us for years.",
    )
    _morning(tape, NIGHT)
    return tape.events


def _evening(tape: Tape) -> None:
    tape.begin(0.02, "triage", TASK, **given(412, 94))
    tape.call(1.36, 1.3, "triage", (310, 46))
    tape.put(
        "decided",
        1.37,
        "triage",
        decision="route",
        subject="refunds",
        reason="A broken article, money back: 0.94 sure.",
    )
    tape.end(1.38, "triage", 1.34, "refunds")
    tape.begin(1.42, "case", "Find out what happened and what may be done.", sender="triage", **given(0, 94))
    tape.begin(
        1.44,
        "records",
        "Find the order and what was said.",
        "case",
        sender="case",
        **given(388, 61),
        tools=["find_order", "find_mails"],
    )
    tape.begin(
        1.45,
        "policy",
        "Find what may be paid back, and who has to agree.",
        "case",
        sender="case",
        **given(295, 72),
        tools=["search"],
    )
    tape.call(2.5, 1.02, "records", (402, 38), "case", tools=["find_order", "find_mails"])
    tape.tool(2.84, 0.33, "records", "find_order", "case", arguments=["order"], characters=912)
    tape.tool(3.31, 0.79, "records", "find_mails", "case", arguments=["customer", "since"], characters=5840)
    tape.call(3.9, 2.44, "policy", (350, 0), "case", error="ModelRateLimitError", usd=0.0)
    tape.put("decided", 3.91, "policy", "case", decision="wait", reason="rate limit", seconds=1.6)
    tape.call(5.9, 2.58, "records", (1975, 221), "case")
    tape.end(
        5.92,
        "records",
        4.46,
        "Paid by card on 20 February, delivered on the 27th; the photo shows a broken spout.",
        "case",
    )
    tape.call(6.82, 1.3, "policy", (350, 41), "case", tools=["search"])
    tape.tool(7.05, 0.22, "policy", "search", "case", arguments=["query"], characters=3310)
    tape.call(8.73, 1.66, "policy", (1288, 164), "case")
    tape.end(8.75, "policy", 5.7, "Up to €50 may be paid back within 30 days; a person agrees.", "case", attempts=3)
    tape.end(8.77, "case", 7.3, "Delivered broken; €38.50 may be paid back once a person agrees.")
    tape.begin(
        8.8,
        "refunds",
        "Pay €38.50 back for order 1042.",
        sender="case",
        **given(510, 48, records=842, policy=611),
        tools=["refund"],
    )
    tape.call(10.4, 1.55, "refunds", (1640, 92), tools=["refund"])
    tape.put("paused", 10.42, "refunds", requests=[{"id": "9c1f77d0", "name": "refund"}])
    tape.put(
        "run_ended", 10.45, status="waiting", reason="waiting for a decision", left={"model_calls": 14, "usd": 0.1967}
    )


def _morning(tape: Tape, at: float) -> None:
    tape.begin(
        at + 0.03,
        "refunds",
        "Pay €38.50 back for order 1042.",
        sender="case",
        **given(510, 48, records=842, policy=611),
        tools=["refund"],
    )
    tape.put("decided", at + 0.05, "refunds", decision="approve", tool="refund")
    tape.tool(at + 0.78, 0.7, "refunds", "refund", arguments=["cents", "order"], characters=37)
    tape.call(at + 1.9, 1.1, "refunds", (1752, 58))
    tape.end(at + 1.92, "refunds", 3.5, "€38.50 went back to the card.", attempts=2)
    tape.begin(at + 1.95, "writer", "Write to the customer.", sender="refunds", **given(640, 22, case=842, refunds=29))
    tape.call(at + 4.6, 2.6, "writer", (1210, 240), finish="length", error="CutOutput")
    tape.put("decided", at + 4.61, "writer", decision="repair", reason="CutOutput")
    tape.call(at + 7.3, 2.66, "writer", (1490, 212))
    tape.end(at + 7.32, "writer", 5.36, ANSWER, attempts=2)
    tape.put("decided", at + 7.33, decision="conclude", status="completed")
    tape.put("run_ended", at + 7.36, status="completed", reason="", left={"model_calls": 11, "usd": 0.1906})


def audit() -> list[Record]:
    """Return the audit records of the thread, chained."""
    about: dict[str, Any] = {
        "thread": THREAD,
        "turn": "t1",
        "agent": "refunds",
        "step": "refunds",
        "names": ("cents", "order"),
    }
    drafts = [
        (
            Draft(
                kind="approval",
                subject="refund",
                outcome="approved",
                key="a",
                **about,
                detail="She has been with us for years.",
            ),
            0.04,
        ),
        (Draft(kind="effect", subject="refund", outcome="done", key="b", **about, taint=("tool:find_mails",)), 0.76),
    ]
    found: list[Record] = []
    for draft, after in drafts:
        previous = found[-1].hash if found else GENESIS
        found.append(sealed(draft, seq=len(found) + 1, at=BEGAN + NIGHT + after, previous=previous))
    return found


def moments() -> list[Moment]:
    """Return the checkpoints of the thread."""
    at = [(0.0, "triage"), (1.39, "case"), (8.78, "refunds"), (NIGHT + 1.93, "writer"), (NIGHT + 7.33, "")]
    return [
        Moment(
            checkpoint=f"1f116{number:03d}-7c20-6d1e-8003-9a5b0c21e4f7",
            step=number - 1,
            at=datetime.fromtimestamp(BEGAN + after, UTC),
            next=(following,) if following else (),
            waiting=following == "refunds",
        )
        for number, (after, following) in enumerate(at)
    ]


def material() -> Material:
    """Return what the report is made of."""
    records = audit()
    facts = {
        "thread": THREAD,
        "graph": "support",
        "task": TASK,
        "status": "completed",
        "created": BEGAN,
        "updated": BEGAN + NIGHT + 7.4,
    }
    trace = read_trace(events(), facts=facts, audit=records)
    return Material(
        trace=trace,
        as_of=BEGAN + NIGHT + 60,
        model=MODEL,
        budget=Budget(model_calls=20, usd=0.2),
        answer=ANSWER,
        status="completed",
        messages=[HumanMessage(TASK, id="m1"), AIMessage(ANSWER, id="m2", name="writer")],
        moments=moments(),
        checkpoints=5,
        verified=Verified(len(records), records[-1].hash, []),
    )


def example_page() -> str:
    """Return the page."""
    made = material()
    return page(made, agent_figures(made.trace.spans()))
