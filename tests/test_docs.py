"""What the documentation says, holds: its code runs, its commands parse, its tables are those of the code, its links lead on.

`ORCHESTRA_WRITE_PAGES=1` writes what is made from the code: tables, examples, pictures, and what code blocks print.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from code_blocks import blocks, command_lines, inline_commands, is_shown, outputs, run_page, with_outputs
from orchestra import load_team, show
from orchestra.__main__ import command
from page_parts import PARTS, patterns, with_parts

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
MADE_ELSEWHERE = {"faults.md", "injection.md"}
"""Pages that other tests make."""

PAGES = [ROOT / "AGENTS.md", *sorted(page for page in DOCS.rglob("*.md") if page.name not in MADE_ELSEWHERE)]
WRITES = bool(os.environ.get("ORCHESTRA_WRITE_PAGES"))
FILES = ("team.yaml", "document.md")
"""Files that command lines of the pages name."""

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def write(page: Path, text: str) -> None:
    if WRITES and text != read(page):
        page.write_text(text, encoding="utf-8")


@every_page
def test_the_code_of_a_page_runs_and_prints_what_it_shows(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("ORCHESTRA_OFFLINE")  # pages load models of a network, and have no key to reach one
    text, before = read(page), set(sys.modules)
    printed = run_page(text, page)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):  # another page may write its like
            del sys.modules[name]
    write(page, with_outputs(text, printed))
    for number, shown in outputs(read(page)):
        assert is_shown(printed[number], shown.code), f"line {shown.line} should be:\n{printed[number]}"


@every_page
def test_what_a_page_takes_from_the_code_is_as_the_code_has_it(page: Path) -> None:
    text = read(page)
    made = with_parts(text)
    write(page, made)
    assert WRITES or made == text, "make pages"


@every_page
def test_the_commands_of_a_page_parse(page: Path) -> None:
    for name in FILES:
        Path(name).touch()
    lines = [words for block in blocks(read(page)) if block.is_shell for words in command_lines(block)]
    for words in lines:
        check_line(words)
    for words in inline_commands(read(page)):
        check_names(words[1:])


def check_line(words: list[str]) -> None:
    """Check a command line as far as can be told without running it."""
    words = [word for word in words if not re.fullmatch(r"[A-Z_]+=.*", word)]
    name = Path(words[0]).name if words else ""
    if name == "orchestra":
        parse(command, "orchestra", words[1:])
    if name == "make":
        assert re.search(rf"^{words[1]}:", read(ROOT / "Makefile"), re.MULTILINE), words


def parse(found: click.Command, name: str, words: list[str]) -> None:
    """Parse the words of a command line as the command does, without running it."""
    if "--help" in words or "--version" in words:
        return
    context = click.Context(found, info_name=name)
    found.parse_args(context, list(words))
    if isinstance(found, click.Group):
        sub, chosen, rest = found.resolve_command(context, [*context._protected_args, *context.args])
        assert sub is not None
        assert chosen is not None
        parse(chosen, sub, rest)


def check_names(words: list[str]) -> None:
    """Check that the command and the options that running text names exist."""
    found: click.Command = command
    while isinstance(found, click.Group) and words and words[0] in found.commands:
        found, words = found.commands[words[0]], words[1:]
    assert found is not command or words == ["--help"], words
    known = {name for each in found.params for name in each.opts} | {"--help", "-h"}
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= known, words


def test_a_command_line_that_is_wrong_would_be_noticed() -> None:
    for wrong in (["dance"], ["run", "single", "What?", "--loudly"], ["audit", "verify", "--all"], ["run", "single"]):
        with pytest.raises(click.UsageError):
            check_line(["orchestra", *wrong])
    with pytest.raises(AssertionError):
        check_names(["run", "--loudly"])


def test_output_that_differs_would_be_noticed() -> None:
    page = '```python\nprints = print\nprints(2)\n```\n\n```text title="prints"\n3\n```\n'
    printed = run_page(page, Path("page.md"))
    ((number, shown),) = outputs(page)
    assert not is_shown(printed[number], shown.code)
    assert with_outputs(page, printed) == page.replace("3\n", "2\n")
    assert is_shown("in 0.3 s\nok\n", "in … s\nok\n")


@every_page
def test_the_data_of_a_page_can_be_read(page: Path) -> None:
    readers: dict[str, Any] = {"json": json.loads, "yaml": yaml.safe_load, "toml": tomllib.loads}
    for block in blocks(read(page)):
        data = readers[block.language](block.code) if block.language in readers else None
        if isinstance(data, dict) and "agents" in data:
            Path("team.yaml").write_text(block.code, encoding="utf-8")
            assert load_team("team.yaml").name == data["name"]


@pytest.mark.parametrize("name", [entry.name for entry in patterns()])
def test_the_picture_of_a_pattern_is_as_it_is_drawn(name: str) -> None:
    file = DOCS / "pictures" / "patterns" / f"{name}.svg"
    if WRITES:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(show(name).svg, encoding="utf-8")
    assert read(file) == show(name).svg, "make pages"


def test_every_pattern_has_a_page_with_its_facts_its_arguments_and_its_example() -> None:
    for entry in patterns():
        text = read(DOCS / "patterns" / f"{entry.name}.md")
        for part in ("facts", "arguments", "example"):
            assert f"<!-- part: {part} {entry.name} -->" in text
    assert {page.stem for page in (DOCS / "patterns").glob("*.md")} == {entry.name for entry in patterns()}


def test_every_part_is_on_a_page() -> None:
    used = {name for page in PAGES for name in re.findall(r"<!-- part: (\w+)", read(page))}
    assert used == set(PARTS)


def test_every_variable_of_the_environment_is_on_the_reference_page() -> None:
    folders = [ROOT / name for name in ("orchestra", "graphs", "nodes", "tools", "state")]
    sources = [read(file) for folder in folders for file in folder.rglob("*.py")]
    variables = {name for text in sources for name in re.findall(r"\bORCHESTRA_[A-Z_]+\b", text)}
    assert variables
    assert {name for name in variables if f"`{name}`" not in read(DOCS / "reference.md")} == set()


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings of a page, as the site and code hosts make them."""
    heads = [line for line in re.sub(r"```.*?```", "", text, flags=re.DOTALL).splitlines() if re.match(r"#+ ", line)]
    plain = [re.sub(r"[^\w\s-]", "", head.lstrip("# ").lower()).strip() for head in heads]
    return {re.sub(r"[\s]+", "-", head) for head in plain}


@every_page
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", read(page), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(read(target)), link


def navigation(found: Any) -> list[str]:
    if isinstance(found, str):
        return [found]
    return [page for each in (found.values() if isinstance(found, dict) else found) for page in navigation(each)]


def test_every_page_is_in_the_navigation_once() -> None:
    listed = navigation(yaml.safe_load(read(ROOT / "mkdocs.yml"))["nav"])
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    if importlib.util.find_spec("material") is None:
        pytest.skip("mkdocs-material is not installed: pip install 'orchestra-agents[docs]'")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-f", str(ROOT / "mkdocs.yml")]
    built = subprocess.run([*words, "-d", str(tmp_path / "site")], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    loaded = re.compile(r"<(?:script|img|iframe|link)[^>]*(?:src|href)=\"?(?:https?:)?//[^>]*>")
    for page in (tmp_path / "site").rglob("*.html"):
        found = [tag for tag in loaded.findall(read(page)) if 'rel="canonical"' not in tag]
        assert found == [], page
    assert json.loads(read(tmp_path / "site" / "search" / "search_index.json"))["docs"]


@pytest.mark.loopback
def test_the_program_of_the_studio_page_drives_the_server_of_a_team_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if importlib.util.find_spec("langgraph_api") is None:
        pytest.skip("needs the server: pip install 'orchestra-agents[studio]'")
    from dev_server import started, stopped

    for block in [*blocks(read(DOCS / "getting-started.md")), *blocks(read(DOCS / "studio.md"))]:
        if block.title and not block.is_output:
            Path(block.title).write_text(block.code, encoding="utf-8")
    monkeypatch.setenv("ORCHESTRA_TOKEN", "a-token-that-somebody-chose")
    server = started(tmp_path, ORCHESTRA_TOKEN=os.environ["ORCHESTRA_TOKEN"])
    names: dict[str, Any] = {"__name__": "__main__"}
    try:
        program = read(tmp_path / "drive.py").replace("http://127.0.0.1:2024", server.url)
        exec(compile(program, "drive.py", "exec", dont_inherit=True), names)
        names["client"].http.client.close()
    finally:
        stopped(server)
    assert "A courier brings order 1042 on 8 May." in capsys.readouterr().out


def test_agents_md_is_no_longer_than_a_context_can_spare() -> None:
    assert len(read(ROOT / "AGENTS.md").splitlines()) <= 120
