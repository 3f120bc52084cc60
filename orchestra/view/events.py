"""Events as lines of text, one after the other: for a run that goes on in another process."""

from __future__ import annotations

from rich.text import Text

from orchestra.tracing.reading import decision_of
from orchestra.tracing.telling import told_of
from orchestra.view.figures import duration, money, one_line
from orchestra.view.glyphs import STYLES, glyphs_for
from orchestra.view.screen import Screen
from state.events import Event

_LONGEST = 400
_QUIET = frozenset({"progressed"})
"""Kinds of events that others tell of as well."""


class EventLines:
    """Writes a line for each event to standard output: when, who, what.

    Args:
        screen: Where it is shown.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen, self._glyphs = screen, glyphs_for(screen.out.file)
        self._began: float | None = None
        self._names: dict[tuple[str, ...], str] = {}

    def show(self, event: Event) -> None:
        """Write the line of an event."""
        if event["kind"] in _QUIET:
            return
        if self._began is None or (event["kind"] == "noted" and event["data"].get("note") == "started"):
            self._began = event["at"]
        self._put(f"{event['at'] - self._began:8.1f} s  ", self._who(event), *self._what(event))

    def end(self, status: str) -> None:
        """Say how the thread stands now."""
        self._screen.out.print(Text.assemble((status or "nothing is noted", STYLES.get(status, ""))))
        self._screen.out.file.flush()

    def _put(self, when: str, who: str, what: str, style: str) -> None:
        line = Text.assemble((when, "dim"), (f"{who}  " if who else "", "bold"), (what, style))
        if self._screen.out.is_terminal:
            line.truncate(self._screen.out.width, overflow="ellipsis" if self._glyphs.ellipsis == "…" else "crop")
        self._screen.out.print(line, soft_wrap=True, no_wrap=True, crop=False)
        self._screen.out.file.flush()

    def _who(self, event: Event) -> str:
        """Return the agent, below those whose team it works in."""
        above = [*event["data"].get("above", ()), *([event["parent"]] if event["parent"] else [])]
        name = event["step"] if event["step"].startswith(event["agent"]) else event["agent"]
        return one_line(" / ".join(filter(None, [*above, name])), 60)

    def _what(self, event: Event) -> tuple[str, str]:
        data, kind = event["data"], event["kind"]
        if kind == "agent_started":
            return f"begins: {one_line(str(data.get('task', '')), _LONGEST)}", ""
        if kind == "model_called":
            tokens = f"{data.get('input_tokens', 0):,} in, {data.get('output_tokens', 0):,} out"
            failed = f" failed: {data['error']}" if data.get("error") else ""
            cost = f", {money(data['usd'])}" if data.get("usd") is not None else ""
            said = f"model {data.get('model', '')}: {tokens}{cost}, {duration(data.get('seconds', 0.0))}{failed}"
            return one_line(said, _LONGEST), "red" if failed else "dim"
        if kind == "tool_called":
            failed = "" if data.get("status", "success") == "success" else " failed"
            names = ", ".join(map(str, data.get("arguments") or ()))
            return one_line(f"tool {data.get('tool', '')}({names}){failed}", _LONGEST), "red" if failed else "dim"
        if kind == "agent_finished":
            return self._finished(event)
        return self._told(event)

    def _finished(self, event: Event) -> tuple[str, str]:
        data = event["data"]
        status, error = str(data.get("status", "")), data.get("error") or {}
        why = f": {error.get('type')}: {error.get('message')}" if error else ""
        sign = self._glyphs.of(status)
        return one_line(f"{sign} {status} in {duration(data.get('seconds', 0.0))}{why}", _LONGEST), STYLES.get(
            status, ""
        )

    def _told(self, event: Event) -> tuple[str, str]:
        told = decision_of(event)
        if event["kind"] == "noted" and told.kind == "started":
            return f"turn: {one_line(str(told.data.get('task', '')), _LONGEST)}", "bold"
        if event["kind"] == "paused":
            names = ", ".join(str(each.get("name", "")) for each in told.data.get("requests") or ())
            return one_line(f"waits for a person: {names}", _LONGEST), STYLES["waiting"]
        if event["kind"] == "run_ended":
            reason = f": {told.reason}" if told.reason else ""
            return one_line(f"run ends {told.data.get('status', '')}{reason}", _LONGEST), ""
        return one_line(told_of(told), _LONGEST), ""
