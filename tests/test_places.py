"""Places: who goes first, who is passed over, and that none is ever lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from state.places import Places


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


class Crowd:
    """Tasks that take a place, note that they have it, and keep it until they are let go."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.inside: list[str] = []
        self.most = 0
        self.busy: dict[str, int] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.doors: dict[str, asyncio.Event] = {}

    def add(self, name: str, owner: str = "", *, limit: int | None = None, priority: float = 0.0) -> None:
        self.doors[name] = asyncio.Event()
        self.tasks[name] = asyncio.ensure_future(self._visit(name, owner, limit, priority))

    async def _visit(self, name: str, owner: str, limit: int | None, priority: float) -> None:
        await self.places.take(owner, limit=limit, priority=priority)
        self.inside.append(name)
        self.busy[owner] = self.busy.get(owner, 0) + 1
        self.most = max(self.most, sum(self.busy.values()))
        assert limit is None or self.busy[owner] <= limit
        try:
            await self.doors[name].wait()
        finally:
            self.busy[owner] -= 1
            self.places.give_back(owner)

    async def let_go(self, *names: str) -> None:
        for name in names:
            self.doors[name].set()
        await settle()

    async def cancel(self, *names: str) -> None:
        for name in names:
            self.tasks[name].cancel()
        await settle()

    async def close(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


async def test_the_most_urgent_goes_first_and_among_equals_the_first_that_came() -> None:
    crowd = Crowd(Places(1))
    crowd.add("first")
    await settle()
    for name, priority in (("low", -1.0), ("even", 0.0), ("even later", 0.0), ("high", 2.5), ("higher", 3.0)):
        crowd.add(name, priority=priority)
    await settle()
    assert crowd.inside == ["first"]
    for name in ("first", "higher", "high", "even", "even later", "low"):
        await crowd.let_go(name)
    assert crowd.inside == ["first", "higher", "high", "even", "even later", "low"]


async def test_one_whose_owner_is_at_its_limit_is_passed_over_until_the_owner_has_room() -> None:
    crowd = Crowd(Places(3))
    for name in ("a1", "a2", "a3"):
        crowd.add(name, "a", limit=1, priority=9.0)
    crowd.add("b1", "b")
    crowd.add("c1", "c")
    await settle()
    assert crowd.inside == ["a1", "b1", "c1"]
    crowd.add("b2", "b")
    await settle()
    await crowd.let_go("c1")
    assert crowd.inside[3:] == ["b2"], "a2 is more urgent, and its owner is at its limit"
    await crowd.let_go("a1")
    assert crowd.inside[4:] == ["a2"]
    await crowd.close()


async def test_no_more_are_inside_than_there_are_places() -> None:
    crowd = Crowd(Places(4))
    for at in range(30):
        crowd.add(str(at), f"owner{at % 3}", limit=2)
    await settle()
    for at in range(30):
        await crowd.let_go(str(at))
    assert (len(crowd.inside), crowd.most) == (30, 4)


async def test_one_that_stops_waiting_is_forgotten() -> None:
    crowd = Crowd(Places(1))
    for name in ("first", "gone", "next"):
        crowd.add(name)
    await settle()
    await crowd.cancel("gone")
    await crowd.let_go("first")
    assert crowd.inside == ["first", "next"]
    await crowd.close()


async def test_one_that_is_cancelled_as_it_is_let_in_hands_its_place_on() -> None:
    crowd = Crowd(Places(1))
    for name in ("first", "unlucky", "next"):
        crowd.add(name)
    await settle()
    crowd.places.give_back()  # lets "unlucky" in, which has not noticed yet
    crowd.tasks["unlucky"].cancel()
    await settle()
    assert crowd.inside == ["first", "next"]
    for task in crowd.tasks.values():
        task.cancel()
    await asyncio.gather(*crowd.tasks.values(), return_exceptions=True)


@pytest.mark.parametrize("width", [1, 3])
async def test_one_that_fails_inside_hands_its_place_on(width: int) -> None:
    places = Places(width)

    async def fail() -> None:
        await places.take()
        try:
            raise RuntimeError
        finally:
            places.give_back()

    results = await asyncio.gather(*(fail() for _ in range(20)), return_exceptions=True)
    assert {type(result) for result in results} == {RuntimeError}


moves = st.lists(
    st.tuples(st.sampled_from(["come", "come", "leave", "cancel", "both"]), st.integers(0, 30), st.integers(-2, 2)),
    max_size=60,
)


@settings(deadline=None)
@given(moves, st.integers(1, 3), st.sampled_from([None, 1, 2]))
def test_whatever_comes_leaves_and_is_cancelled_no_place_is_lost(
    drawn: list[tuple[str, int, int]], width: int, limit: int | None
) -> None:
    async def play() -> None:
        crowd = Crowd(Places(width))
        for move, number, priority in drawn:
            names = list(crowd.tasks)
            if move == "come" or not names:
                crowd.add(f"t{len(names)}", f"owner{number % 3}", limit=limit, priority=priority)
            elif move == "leave":
                crowd.doors[names[number % len(names)]].set()
            elif move == "cancel":
                crowd.tasks[names[number % len(names)]].cancel()
            else:  # somebody leaves, and in the same moment somebody else is cancelled
                crowd.doors[names[number % len(names)]].set()
                await asyncio.sleep(0)
                crowd.tasks[names[(number + 1) % len(names)]].cancel()
            if number % 2:
                await asyncio.sleep(0)
        await crowd.close()
        assert crowd.most <= width
        newcomers = [asyncio.ensure_future(crowd.places.take(f"new{at}", limit=1)) for at in range(width + 1)]
        await settle()
        assert [newcomer.done() for newcomer in newcomers] == [True] * width + [False]
        newcomers[-1].cancel()
        with suppress(asyncio.CancelledError):
            await newcomers[-1]

    asyncio.run(play())
