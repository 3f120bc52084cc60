"""`orchestra completion`: the script that lets a shell complete commands, patterns, threads, requests and agents."""

from __future__ import annotations

import click

_NAME, _VARIABLE = "orchestra", "_ORCHESTRA_COMPLETE"
_INSTALL = {
    "bash": 'put this line into ~/.bashrc:  eval "$(orchestra completion bash)"',
    "zsh": 'put this line into ~/.zshrc, after compinit:  eval "$(orchestra completion zsh)"',
    "fish": "run once:  orchestra completion fish > ~/.config/fish/completions/orchestra.fish",
}
"""How to keep it, by shell."""


@click.command()
@click.argument("shell", type=click.Choice([*_INSTALL]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, patterns, threads, requests and agents in a shell.

    \b
    bash: put this line into ~/.bashrc:  eval "$(orchestra completion bash)"
    zsh:  put this line into ~/.zshrc, after compinit:  eval "$(orchestra completion zsh)"
    fish: run once:  orchestra completion fish > ~/.config/fish/completions/orchestra.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # click knows these three
    script = kind(ctx.find_root().command, {}, _NAME, _VARIABLE).source()
    click.echo(f"{script.strip()}\n\n# To have it in every {shell}, {_INSTALL[shell]}")
