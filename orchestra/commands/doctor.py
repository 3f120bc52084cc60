"""`orchestra doctor`: whether a run would work here, and what to do if not."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from orchestra.commands.options import db_option, json_option


@click.command()
@db_option
@click.option("--model", metavar="NAME", help="Check this model instead of the default one.")
@click.option("--corpus", metavar="DIR", default="", help="Check this folder, and name every file that is skipped.")
@json_option
def doctor(db: str, model: str | None, corpus: str, as_json: bool) -> None:
    """Check all that a run stands on, and say what to do about it."""
    from rich.text import Text

    from orchestra import checks
    from orchestra.view.columns import column_table
    from orchestra.view.figures import one_line
    from orchestra.view.screen import open_screen

    findings = [
        checks.check_python(),
        checks.check_packages(),
        checks.check_model(model),
        checks.check_database(db),
        checks.check_health(db),
        checks.check_search(),
        checks.check_corpus(corpus),
    ]
    healthy = all(finding.ok for finding in findings)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2))
    else:
        table = column_table("", "", "")
        table.show_header = False
        for finding in findings:
            sign = Text("OK", "green") if finding.ok else Text("NO", "bold red")
            table.add_row(sign, Text(finding.name, "bold"), Text(finding.found))
            if finding.remedy:
                table.add_row("", "", Text(one_line(finding.remedy), "dim" if finding.ok else "yellow"))
            for line in finding.details:
                table.add_row("", "", Text(f"  {one_line(line)}", "dim"))
        open_screen().table(table)
    raise click.exceptions.Exit(0 if healthy else 1)
