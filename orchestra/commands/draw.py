"""`orchestra draw`: the graph of a pattern or team."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from state.graph import Pattern

_ENDINGS = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid", ".txt": "ascii"}


@click.command()
@click.argument("name", metavar="PATTERN_OR_TEAM")
@click.option(
    "--format", "form", type=click.Choice(["ascii", "mermaid", "svg"]), help="By default from FILE, else ascii."
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Write it there.")
@click.option("--approve", is_flag=True, help="With the pause in which a person is asked.")
def draw(name: str, form: str | None, out: Path | None, approve: bool) -> None:
    """Draw the graph of a pattern, a team or a team file.

    What is dashed is decided while it runs; what runs up on the left goes back.
    """
    from orchestra.drawing.picture import Picture, show
    from orchestra.drawing.text import draw_text
    from orchestra.view.glyphs import ASCII, glyphs_for
    from orchestra.view.screen import open_screen

    picture = Picture(_with_approval(name)) if approve else show(name)
    form = form or (_ENDINGS.get(out.suffix.lower(), "ascii") if out else "ascii")
    screen = open_screen()
    if form == "ascii":
        poor = out is None and glyphs_for(screen.out.file) is ASCII
        drawing = draw_text(picture.diagram, ascii_only=poor)
    else:
        drawing = picture.svg if form == "svg" else picture.mermaid
    if out is None:
        click.echo(drawing.rstrip("\n"))
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(drawing.rstrip("\n") + "\n", encoding="utf-8")
    screen.say(f"Written to {out}")


def _with_approval(name: str) -> Pattern:
    """Return the graph of a pattern or team in which a person is asked."""
    from graphs.registry import find
    from orchestra.recipe import approval_arguments

    entry = find(name)
    graph: Pattern = entry.load().build(**approval_arguments(entry)).compile(name=name)
    return graph
