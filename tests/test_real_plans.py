"""Plans that were made elsewhere, from real workflows and by language models, are done whole and in order, or refused."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from acting import executing, says, statuses
from cases import part, plan_of
from graphs import plan_execute
from state import Context, Plan
from state.errors import PlanError

ROOT = Path(__file__).resolve().parent.parent
TOOL_PLANS = json.loads((ROOT / "tests" / "data" / "tool_plans.json").read_text("utf-8"))
WORKFLOWS = json.loads((ROOT / "benchmarks" / "workflows.json").read_text("utf-8"))["workflows"]


def written(tools: list[Any]) -> dict[str, Any]:
    """Return a plan of tools as a planner writes it."""
    return plan_of(*(part(name, "w", *needs) for name, needs in tools))


async def done_in_order(plan: Plan, width: int) -> None:
    """Execute a plan and see that each subtask is begun once, after all that it needs has ended."""
    ended: set[str] = set()
    begun: Counter[str] = Counter()
    needs = {one.id: set(one.depends_on) for one in plan.subtasks}

    async def w(task: str) -> str:
        name = task.partition("\n")[0]
        begun[name] += 1
        assert needs[name] <= ended
        ended.add(name)
        return "done"

    told = [one.model_copy(update={"agent": "w", "task": one.id}) for one in plan.subtasks]
    builder = executing(Plan(subtasks=tuple(told)).model_dump(mode="json"), [w])
    result = await builder.compile().ainvoke({"task": "t"}, context=Context(max_concurrency=width))
    assert statuses(result) == dict.fromkeys(needs, "ok")
    assert begun == Counter(list(needs))


@pytest.mark.parametrize("name", WORKFLOWS)
async def test_a_real_workflow_is_done_whole_and_in_order(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    plan: Plan = importlib.import_module("benchmarks.workflows").real_workflows()[name]
    await done_in_order(plan.validate_for(["sleeper"]), width=4 if len(plan.subtasks) < 60 else 1000)


@pytest.mark.parametrize("name", TOOL_PLANS["valid"])
async def test_a_plan_that_a_model_made_of_tools_is_done_whole_and_in_order(name: str) -> None:
    await done_in_order(Plan.model_validate(written(TOOL_PLANS["valid"][name])), width=2)


@pytest.mark.parametrize("name", TOOL_PLANS["cyclic"])
def test_a_plan_in_which_a_tool_depends_on_itself_is_refused_and_the_planner_told_of_the_cycle(name: str) -> None:
    tools = TOOL_PLANS["cyclic"][name]
    guilty = next(tool for tool, needs in tools if tool in needs)
    with pytest.raises(PlanError, match=f"cycle {guilty} -> {guilty}$"):
        Plan.model_validate(written(tools)).validate_for(["w"])
    planner = says("planner", written(tools), plan_of(part("one", "w")))
    result = plan_execute.build([says("w", "done")], planner=planner).compile().invoke({"task": "t"})
    assert f"cycle {guilty} -> {guilty}" in planner.model.requests[1].messages[-1].text  # type: ignore[union-attr]
    assert (result["answer"], result["status"]) == ("done", "completed")
