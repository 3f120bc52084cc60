"""Grants: what one agent lets another do is signed, never more than its own, for a while, once, and can be taken back."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.tools import tool

from cases import says
from graphs import single
from nodes import Policy
from nodes.authority import authority_by
from nodes.granting import grants_in, scope_of
from nodes.scripted import call, calls
from nodes.step import current_step
from orchestra.__main__ import command
from orchestra.thread import config_of
from state import ConfigurationError, open_persistence
from state.errors import GrantRefused, OrchestraError
from state.grants import Grants, read_key
from state.persistence import Persistence
from state.registers import FORGOTTEN_AFTER, Grant, MemoryRegister, Register
from state.scopes import Scope
from state.storage.grants import KEY_VARIABLE, GrantTable, grants_at, grants_of
from storage import connection_of, fresh_url
from test_effects import saver_of

KEY = bytes(range(32))
NOW = 1_800_000_000.0
SAVERS = ("memory", "sqlite", "asyncsqlite", "postgres", "asyncpostgres", "ours", "ours-postgres")


@pytest.fixture(params=("memory", "sqlite", "postgres"))
def register(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Register]:
    if request.param == "memory":
        yield MemoryRegister()
    else:
        with fresh_url(request.param, tmp_path) as url, open_persistence(url) as place:
            yield place.grants


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Persistence]:
    with open_persistence(tmp_path / "runs.db") as place:
        yield place


def may(**names: Any) -> Scope:
    return Scope(**names)


def first(grants: Grants, **more: Any) -> str:
    """Return the token of a first grant, for the lead."""
    told: dict[str, Any] = {"holder": "lead", "scope": may(rights={"read", "effect"}), "expires": NOW + 600, **more}
    return grants.issue(None, **{"issuer": "run", "thread": "t", "turn": "1", "depth": 2, "now": NOW, **told})


def redeemed(grants: Grants, token: str, holder: str = "lead", thread: str = "t", now: float = NOW) -> Grant:
    return grants.redeem(token, holder=holder, thread=thread, now=now)


def refused(reason: str) -> Any:
    return pytest.raises(GrantRefused, check=lambda error: error.reason == reason)


# --- what is granted


def test_a_grant_lets_its_holder_do_what_it_says_and_can_be_passed_on_narrower(register: Register) -> None:
    grants = Grants(KEY, register)
    lead = redeemed(grants, first(grants))
    token = grants.issue(lead, holder="worker", scope=may(rights={"read"}), expires=NOW + 60, now=NOW)
    worker = redeemed(grants, token, "worker")
    assert (worker.issuer, worker.holder, worker.parent, worker.depth) == ("lead", "worker", lead.id, 1)
    assert (worker.thread, worker.turn, worker.lineage) == ("t", "1", (lead.id, worker.id))
    assert worker.scope.permits("look", {"read"})
    assert not worker.scope.permits("pay", {"read", "effect"})
    grants.check(worker, NOW + 59)


def test_a_scope_permits_what_is_allowed_not_denied_and_within_its_rights() -> None:
    scope = may(rights={"read"}, allow={"look", "peek"}, deny={"peek"})
    assert [scope.permits(name, {"read"}) for name in ("look", "peek", "other")] == [True, False, False]
    assert not scope.permits("look", {"write"})
    assert Scope().permits("anything", {"code", "effect"})


@pytest.mark.parametrize("value", ["read", 5, [1]])
def test_a_scope_that_is_no_collection_of_names_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"Scope.rights: expected a collection of names"):
        may(rights=value)


@pytest.mark.parametrize(
    ("wider", "what"),
    [
        ({"scope": Scope()}, "rights without a limit"),
        ({"scope": may(rights={"read", "code"}, allow={"a"}, deny={"d"}, approve={"p"})}, "rights 'code'"),
        ({"scope": may(rights={"read"}, deny={"d"}, approve={"p"})}, "allow without a limit"),
        ({"scope": may(rights={"read"}, allow={"a", "b"}, deny={"d"}, approve={"p"})}, "allow 'b'"),
        ({"scope": may(rights={"read"}, allow={"a"}, approve={"p"})}, "no deny of 'd'"),
        ({"scope": may(rights={"read"}, allow={"a"}, deny={"d"})}, "no approve of 'p'"),
        ({"expires": NOW + 601}, "a later end"),
        ({"depth": 2}, "depth 2, at most 1"),
        ({"thread": "other"}, "of thread 't' only"),
        ({"turn": "2"}, "holds for turn '1'"),
    ],
)
def test_a_grant_wider_than_its_parent_is_not_issued(wider: dict[str, Any], what: str) -> None:
    grants = Grants(KEY)
    scope = may(rights={"read"}, allow={"a"}, deny={"d"}, approve={"p"})
    lead = redeemed(grants, first(grants, scope=scope))
    with refused("widened") as caught:
        grants.issue(lead, **{"holder": "w", "scope": scope, "expires": NOW + 60, "now": NOW, **wider})
    assert what in str(caught.value)
    assert isinstance(caught.value, OrchestraError)


def test_a_grant_is_passed_on_by_its_holder_as_often_as_its_depth_says() -> None:
    grants, scope = Grants(KEY), may(rights={"read"})
    lead = redeemed(grants, first(grants, depth=1))
    worker = redeemed(grants, grants.narrow(lead, holder="w", scope=scope, expires=NOW + 9, now=NOW, depth=5), "w")
    assert worker.depth == 0
    for pass_on in (grants.issue, grants.narrow):
        with refused("too_deep"):
            pass_on(worker, holder="v", scope=scope, expires=NOW + 9, now=NOW)
    with refused("wrong_holder"):
        grants.issue(lead, issuer="thief", holder="w", scope=scope, expires=NOW + 9, now=NOW)


NAMES = st.frozensets(st.sampled_from("abcd"), max_size=4)
SCOPES = st.builds(Scope, st.none() | NAMES, st.none() | NAMES, NAMES, NAMES)
STEPS = st.lists(
    st.tuples(st.booleans(), SCOPES, st.integers(0, 6), st.floats(-10, 1_000, allow_nan=False)), min_size=1, max_size=6
)


@given(SCOPES, STEPS)
def test_no_sequence_of_issuing_and_narrowing_gives_more_than_was_granted_before(start: Scope, steps: Any) -> None:
    grants = Grants(KEY)
    held = redeemed(grants, first(grants, scope=start, depth=4))
    for narrows, scope, depth, seconds in steps:
        pass_on = grants.narrow if narrows else grants.issue
        try:
            token = pass_on(held, holder="lead", scope=scope, depth=depth, expires=NOW + seconds, now=NOW)
            child = redeemed(grants, token)
        except GrantRefused as error:
            assert error.reason in ("too_deep", "expired") or not narrows  # noqa: PT017
            continue
        assert (child.depth < held.depth, child.expires <= held.expires, child.chain) == (True, True, held.lineage)
        for name in "abcde":
            for needs in ("", "a", "b", "cd", "e"):
                assert child.scope.permits(name, set(needs)) <= held.scope.permits(name, set(needs))
                assert child.scope.permits(name, set(needs)) <= scope.permits(name, set(needs))
        assert child.scope.approve >= held.scope.approve
        held = child


@given(SCOPES, SCOPES, SCOPES)
def test_what_two_scopes_both_permit_does_not_depend_on_their_order(one: Scope, two: Scope, three: Scope) -> None:
    assert one.meet(two) == two.meet(one)
    assert one.meet(two).meet(three) == one.meet(two.meet(three))
    assert one.meet(one) == one
    assert not one.meet(two).beyond(one)


# --- what is refused


@given(st.data())
def test_a_token_with_any_byte_changed_is_refused(data: st.DataObject) -> None:
    grants = Grants(KEY)
    token = first(grants).encode()
    at, other = data.draw(st.integers(0, len(token) - 1)), data.draw(st.integers(1, 127))
    changed = bytes([*token[:at], token[at] ^ other, *token[at + 1 :]]).decode("latin-1")
    with refused("forged"):
        redeemed(grants, changed)


def test_every_bit_of_a_signature_counts() -> None:
    grants = Grants(KEY)
    token = first(grants)
    for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        if last != token[-1]:
            with refused("forged"):
                redeemed(grants, token[:-1] + last)


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token + "=",
        lambda token: token + "\n",
        lambda token: token[:-1],
        lambda token: token.partition(".")[0],
        lambda token: token.partition(".")[0] + ".",
        lambda token: "." + token.partition(".")[2],
        lambda token: "",
        lambda token: "é" * 10,
        lambda token: None,
        lambda token: "x" * 100_000,
        lambda token: Grants(bytes(32)).issue(None, holder="lead", scope=Scope(), expires=NOW + 9, now=NOW, thread="t"),
    ],
)
def test_what_was_not_issued_so_is_refused_and_not_repeated(change: Any) -> None:
    grants = Grants(KEY)
    with refused("forged") as caught:
        redeemed(grants, change(first(grants)))
    assert len(str(caught.value)) < 120


def test_a_body_with_more_rights_under_the_old_signature_is_refused() -> None:
    grants = Grants(KEY)
    body, _, signature = first(grants).partition(".")
    plain = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    forged = base64.urlsafe_b64encode(json.dumps({**plain, "rights": None}).encode()).rstrip(b"=").decode()
    with refused("forged"):
        redeemed(grants, f"{forged}.{signature}")


def test_a_grant_whose_fields_were_changed_in_memory_is_not_believed() -> None:
    grants = Grants(KEY)
    wide = replace(redeemed(grants, first(grants)), scope=Scope())
    with refused("forged"):
        grants.issue(wide, holder="w", scope=Scope(), expires=NOW + 9, now=NOW)
    with refused("forged"):
        grants.narrow(wide, holder="w", scope=Scope(), expires=NOW + 9, now=NOW)
    with refused("forged"):
        grants.check(wide, NOW)


def test_a_token_is_redeemed_once_by_its_holder_in_its_thread_and_turn_and_time(register: Register) -> None:
    grants = Grants(KEY, register)
    token = first(grants)
    with refused("wrong_holder"):
        redeemed(grants, token, "thief")
    with refused("wrong_holder"):
        redeemed(grants, token, thread="other")
    with refused("wrong_holder"):
        grants.redeem(token, holder="lead", thread="t", turn="2", now=NOW)
    with refused("expired"):
        redeemed(grants, token, now=NOW + 600)
    grants.redeem(token, holder="lead", thread="t", turn="1", now=NOW)
    with refused("replayed"):
        redeemed(grants, token)


def test_a_redeemed_grant_ends_when_its_time_is_over() -> None:
    grants = Grants(KEY)
    lead = redeemed(grants, first(grants))
    grants.check(lead, NOW + 599)
    with refused("expired"):
        grants.check(lead, NOW + 600)
    with refused("expired"):
        grants.issue(lead, holder="w", scope=lead.scope, expires=NOW + 600, now=NOW + 600)


def test_a_revoked_grant_takes_all_below_it_along_and_none_beside_it(register: Register) -> None:
    grants = Grants(KEY, register)
    lead = redeemed(grants, first(grants))

    def below(parent: Grant, holder: str) -> Grant:
        token = grants.issue(parent, holder=holder, scope=parent.scope, expires=NOW + 60, now=NOW)
        return redeemed(grants, token, holder)

    left, right = below(lead, "left"), below(lead, "right")
    deep = below(left, "deep")
    waiting = grants.issue(left, holder="late", scope=left.scope, expires=NOW + 60, now=NOW)
    assert grants.revoke(left.id, NOW + 1)
    assert not grants.revoke(left.id, NOW + 2)
    for ended in (left, deep):
        with refused("revoked"):
            grants.check(ended, NOW)
    with refused("revoked"):
        redeemed(grants, waiting, "late")
    for still in (lead, right):
        grants.check(still, NOW)
    told = {each.holder: (each.ended, each.revoked) for each in grants.known("t")}
    assert told == {"lead": (False, None), "left": (True, NOW + 1), "right": (False, None), "deep": (True, None)}


def test_a_grant_can_be_revoked_before_it_is_redeemed(register: Register) -> None:
    grants = Grants(KEY, register)
    token = first(grants)
    grants.revoke(grants.read(token).id, NOW)
    with refused("revoked"):
        redeemed(grants, token)


def test_what_ended_long_ago_is_forgotten_and_refused_all_the_same(register: Register) -> None:
    grants = Grants(KEY, register)
    old, later = first(grants), NOW + 601 + FORGOTTEN_AFTER
    redeemed(grants, old)
    for number in range(1_001 if isinstance(register, MemoryRegister) else 1):
        redeemed(grants, first(grants, holder=f"h{number}", expires=later + 9), f"h{number}", now=later)
    assert grants.read(old).id not in {each.id for each in grants.known()}
    with refused("expired"):
        redeemed(grants, old, now=later)


@pytest.mark.parametrize(
    "wrong", [{"holder": ""}, {"depth": -1}, {"depth": 33}, {"expires": float("inf")}, {"now": float("nan")}]
)
def test_a_grant_to_nobody_or_without_an_end_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="grants: expected"):
        first(Grants(KEY), **wrong)


# --- many at once


def wins(grants: Grants, token: str) -> bool:
    try:
        redeemed(grants, token)
    except GrantRefused as error:
        assert error.reason == "replayed"  # noqa: PT017
        return False
    return True


def test_of_many_threads_that_redeem_a_token_exactly_one_gets_it(register: Register) -> None:
    grants = Grants(KEY, register)
    for _ in range(5):
        token = first(grants)
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(lambda _, it=token: wins(grants, it), range(8))) == 1


REDEEMER = """
import sys
from state import open_persistence
from state.errors import GrantRefused
from state.storage.grants import grants_at
with open_persistence(sys.argv[1]) as place:
    grants, won = grants_at(place.checkpointer.place), 0
    for token in sys.stdin.read().split():
        try:
            grants.redeem(token, holder="lead", thread="t", now=1_800_000_000.0)
            won += 1
        except GrantRefused as error:
            assert error.reason == "replayed", error
    print(won)
"""


def test_of_processes_that_redeem_a_token_exactly_one_gets_it(file: Persistence) -> None:
    grants = grants_at(file.checkpointer.place)  # type: ignore[attr-defined]  # all of ours have one
    tokens = "\n".join(first(grants) for _ in range(40))
    env = {"PYTHONPATH": ":".join(sys.path), "PATH": os.environ["PATH"]}
    words, pipe = [sys.executable, "-c", REDEEMER, file.location], subprocess.PIPE
    running = [subprocess.Popen(words, env=env, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda process: process.communicate(tokens, timeout=60)[0], running))
    assert sum(map(int, told)) == 40


# --- the key


def test_a_key_is_read_as_hexadecimal_or_base64() -> None:
    assert read_key(KEY.hex(), "x") == KEY
    assert read_key(f" {base64.b64encode(KEY).decode()}\n", "x") == KEY
    assert read_key(base64.urlsafe_b64encode(bytes([255] * 40)).decode().rstrip("="), "x") == bytes([255] * 40)


@pytest.mark.parametrize("text", ["", "deadbeef", "hunter2 is no key", KEY.hex()[:-2], "é" * 64])
def test_a_key_that_is_none_or_too_short_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError, match="KEY: expected at least 32 bytes") as caught:
        read_key(text, "KEY")
    assert not text or text not in str(caught.value)
    with pytest.raises(ConfigurationError, match="at least 32 bytes, got 31"):
        Grants(KEY[:31])


def test_a_key_shows_in_no_representation() -> None:
    grants = Grants(KEY)
    lead = redeemed(grants, first(grants))
    assert str(KEY) not in repr(grants)
    assert lead.token not in repr(lead)


def test_the_key_of_a_file_lies_beside_it_for_its_owner_only(file: Persistence) -> None:
    place = file.checkpointer.place  # type: ignore[attr-defined]  # all of ours have one
    key = Path(f"{file.location}.key")
    token = first(grants_at(place))
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    redeemed(grants_at(place), token)  # opened again, the same key
    assert not list(key.parent.glob(".*.key.*"))
    kept = b"".join(path.read_bytes() for path in key.parent.glob("runs.db*") if path.is_file() and path != key)
    assert key.read_bytes().strip() not in kept
    key.chmod(0o640)
    with pytest.raises(ConfigurationError, match="only you can read"):
        grants_at(place)


def test_a_key_that_is_a_link_to_somewhere_else_is_not_followed(file: Persistence, tmp_path: Path) -> None:
    (tmp_path / "other").write_text(KEY.hex())
    (tmp_path / "other").chmod(0o600)
    Path(f"{file.location}.key").symlink_to(tmp_path / "other")
    with pytest.raises(OrchestraError, match="the key of the grants cannot be read or made"):
        grants_at(file.checkpointer.place)  # type: ignore[attr-defined]  # all of ours have one


def test_processes_that_make_the_key_at_once_have_the_same(file: Persistence) -> None:
    place = file.checkpointer.place  # type: ignore[attr-defined]  # all of ours have one
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: grants_at(place), range(8)))
    for grants in made[1:]:
        grants.read(first(made[0]))


def test_the_key_of_the_environment_takes_the_place_of_the_file(
    file: Persistence, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = file.checkpointer.place  # type: ignore[attr-defined]  # all of ours have one
    monkeypatch.setenv(KEY_VARIABLE, KEY.hex())
    Grants(KEY).read(first(grants_at(place)))
    assert not Path(f"{file.location}.key").exists()
    monkeypatch.setenv(KEY_VARIABLE, "short")
    with pytest.raises(ConfigurationError, match=KEY_VARIABLE):
        grants_at(place)


@pytest.mark.parametrize("kind", SAVERS)
async def test_every_checkpointer_has_grants(kind: str, tmp_path: Path) -> None:
    async with saver_of(kind, tmp_path) as saver:
        grants = await grants_of(saver)
        token = grants.issue(None, holder="lead", scope=Scope(), expires=NOW + 9, now=NOW, thread="t", turn="1")
        lead = await grants.redeem(token, holder="lead", thread="t", turn="1", now=NOW)
        await grants.check(lead, NOW)
        with refused("replayed"):
            await grants.redeem(token, holder="lead", thread="t", now=NOW)
        assert await grants.revoke(lead.id, NOW)
        with refused("revoked"):
            await grants.check(lead, NOW)
        assert [each.id for each in await grants.known("t")] == [lead.id]


def test_a_used_grant_stays_used_when_its_thread_is_deleted(file: Persistence) -> None:
    grants = Grants(KEY, file.grants)
    token = first(grants)
    redeemed(grants, token)
    file.delete_thread("t")
    with refused("replayed"):
        redeemed(grants, token)


# --- in a run, and the commands


@pytest.mark.parametrize("durable", [True, False])
def test_a_step_has_the_grants_of_its_run(durable: bool, file: Persistence) -> None:
    seen = list[Scope]()

    @tool
    async def ask(peer: str) -> str:
        """Ask."""
        step, now = current_step(), time.time()
        grants, scope = await grants_in(step), scope_of(authority_by(Policy(grants=("read",), deny=("x",)), "ann"))
        token = grants.issue(None, holder=peer, scope=scope, expires=now + 60, now=now, thread=step.run.thread)
        grant = await grants.redeem(token, holder=peer, thread=step.run.thread, now=now)
        await grants.check(grant, now)
        seen.append(grant.scope)
        return "asked"

    agent = says("ann", calls(call("ask", peer="bob")), "Done.", tools=[ask])
    single.build(agent).compile(file.checkpointer if durable else None).invoke({"task": "Ask."}, config_of("t"))
    assert seen == [may(rights={"read"}, deny={"x"})]
    assert len(file.grants.known("t")) == durable


def orchestra(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, env={"COLUMNS": "80"})


def test_grants_are_listed_and_revoked_by_the_command(file: Persistence) -> None:
    now = time.time()
    grants = Grants(KEY, file.grants)
    lead = redeemed(grants, first(grants, now=now, expires=now + 600, thread="a-rather-long-name-of-a-thread"),
                    thread="a-rather-long-name-of-a-thread", now=now)  # fmt: skip
    token = grants.narrow(lead, holder="worker", scope=Scope(), expires=now + 60, now=now)
    worker = redeemed(grants, token, "worker", lead.thread, now + 1)
    listed = orchestra("grants", "--db", file.location)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["grant", lead.id, worker.id]
    assert max(map(len, listed.stdout.splitlines())) <= 80
    assert orchestra("revoke", "zz", "--db", file.location).exit_code == 2
    told = orchestra("revoke", lead.id[:12], "--db", file.location)
    assert (told.exit_code, f"Revoked grant {lead.id} of lead" in told.stderr) == (0, True)
    assert "was revoked before" in orchestra("revoke", lead.id, "--db", file.location).stderr
    plain = json.loads(orchestra("grants", lead.thread, "--json", "--db", file.location).stdout)
    assert [each["status"] for each in plain] == ["revoked", "revoked"]
    [record] = file.trail.records(kind="revocation")
    assert (record.subject, record.key, record.thread) == ("lead", lead.id, lead.thread)
    with refused("revoked"):
        grants.check(worker, now)
    assert not Path(f"{file.location}.key").exists()  # neither needs it


def test_a_register_whose_rows_go_in_a_circle_is_read_all_the_same(file: Persistence) -> None:
    row = "('a', 'b', 't', '1', 'x', 'y', 9e9, 1.0, NULL), ('b', 'a', 't', '1', 'x', 'y', 9e9, 2.0, NULL)"
    connection_of(file).execute(f"INSERT INTO orchestra_grants VALUES {row}")
    register: GrantTable = file.grants
    assert [each.ended for each in register.known()] == [False, False]
