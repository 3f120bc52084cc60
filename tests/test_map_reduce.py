"""Map-reduce: what is split, what is left out, and what failing items mean."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from acting import Parts, echo, fails, holds, run, says, statuses, told
from graphs import map_reduce


def worked(result: dict[str, Any]) -> list[str]:
    return [entry["item"] for entry in result["structured"]["results"]]


@pytest.mark.parametrize(
    ("answer", "items"),
    [
        ("one\ntwo\n\n three ", ["one", "two", "three"]),
        ("- one\n* two\n1. three\n2) four", ["one", "two", "three", "four"]),
        ("2024 results\n3.11 notes\n-5 degrees", ["2024 results", "3.11 notes", "-5 degrees"]),
        ("same\nother\nsame", ["same", "other"]),
    ],
)
def test_a_splitter_may_answer_in_lines(answer: str, items: list[str]) -> None:
    assert worked(run(map_reduce.build(echo, splitter=says("lines", answer)))) == items


@pytest.mark.parametrize(
    ("parts", "items"),
    [
        (["one", "two", "one"], ["one", "two"]),
        ([1984, 2001], ["1984", "2001"]),
        ([{"id": 1, "task": "one"}, {"task": "two"}, {}], ["one", "two"]),
        (["- 1. kept as it is", "  "], ["- 1. kept as it is"]),
    ],
)
def test_a_splitter_may_answer_with_any_list(parts: list[Any], items: list[str]) -> None:
    splitter = says("parts", Parts(title="t", parts=parts), response_format=Parts)
    assert worked(run(map_reduce.build(echo, splitter=splitter))) == items


def test_a_splitter_that_gives_no_item_or_fails_ends_the_run_with_the_reason() -> None:
    empty = says("empty", Parts(title="t", parts=[]), response_format=Parts)
    result = run(map_reduce.build(echo, splitter=empty))
    assert (result["answer"], result["status"], result["reason"]) == ("", "failed", "the splitter gave no items")
    result = run(map_reduce.build(echo, splitter=holds("opinion", "no list at all")))
    assert result["reason"] == "the splitter gave no items"
    result = run(map_reduce.build(echo, splitter=fails("broken")))
    assert (result["status"], result["reason"]) == ("failed", "broken failed (ValueError: broken)")


def test_items_beyond_the_limit_are_left_out_and_that_is_said() -> None:
    result = run(map_reduce.build(echo, splitter=says("lines", "a\nb\nc\nd\ne")), max_items=3)
    assert worked(result) == ["a", "b", "c"]
    assert (result["status"], result["reason"]) == ("partial", "2 items beyond max_items=3 left out")


def test_a_worker_that_fails_on_one_item_leaves_the_others() -> None:
    result = run(map_reduce.build(echo, splitter=says("lines", "a\nbad\nc")))
    assert result["answer"] == "## a\n\n<a>\n\n## c\n\n<c>"
    assert (result["status"], result["reason"]) == ("partial", "item-2 failed (ValueError: bad item)")
    assert result["structured"]["failed"] == [{"item": "bad", "reason": "item-2 failed (ValueError: bad item)"}]


@pytest.mark.parametrize(("quorum", "status"), [(2, "completed"), (3, "failed")])
def test_a_quorum_of_items_is_enough(quorum: int, status: str) -> None:
    result = run(map_reduce.build(echo, splitter=says("lines", "a\nbad\nc"), quorum=quorum))
    assert result["status"] == status
    assert worked(result) == ["a", "c"]


def test_fail_fast_cancels_the_items_that_are_still_worked_on() -> None:
    async def work(item: str) -> str:
        if item == "bad":
            raise ValueError("bad item")
        await asyncio.sleep(60 if item == "slow" else 0)
        return item

    result = run(map_reduce.build(work, splitter=says("lines", "quick\nslow\nbad"), on_failure="fail_fast"))
    assert statuses(result) == {"lines": "ok", "item-1": "ok", "item-2": "cancelled", "item-3": "failed"}
    assert (result["status"], worked(result)) == ("failed", ["quick"])


def test_an_aggregator_sees_every_result_and_its_failure_leaves_them() -> None:
    joiner = says("joiner", "all of it")
    result = run(map_reduce.build(echo, splitter=says("lines", "a\nb"), aggregator=joiner))
    assert (result["answer"], result["status"], worked(result)) == ("all of it", "completed", ["a", "b"])
    assert told(joiner) == "the task\n\nContext from item-1 (a):\n<a>\n\nContext from item-2 (b):\n<b>"
    result = run(map_reduce.build(echo, splitter=says("lines", "a\nbad"), aggregator=fails("joiner")))
    assert result["answer"] == "## a\n\n<a>"
    assert result["reason"] == "item-2 failed (ValueError: bad item); joiner failed (ValueError: broken)"


def test_a_team_as_worker_starts_each_item_with_nothing_of_the_others() -> None:
    inner = map_reduce.build(echo, splitter=says("inner lines", "x\ny", "z")).compile(name="inner")
    result = run(map_reduce.build(inner, splitter=says("outer lines", "a\nb")), max_concurrency=1)
    assert list(statuses(result)) == ["outer lines", "item-1", "item-2"]
    children = [[child["id"] for child in outcome["children"]] for outcome in result["outcomes"][1:]]
    assert sorted(map(len, children)) == [2, 3]
    assert all(names[0] == "inner lines" and names[1] == "item-1" for names in children)
