"""What is installed is what is meant: the five packages, importable without side effects, and nothing else."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest

from graphs.registry import REGISTRY

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("orchestra", "graphs", "nodes", "tools", "state")
DISTRIBUTION = "orchestra-agents"
MOST_LINES = 350
WORD_LISTS = ("nodes/engine/thesaurus.py",)
"""Modules that are a table, not code."""
OPTIONAL = ("psycopg", "psycopg_pool", "mcp", "langchain_mcp_adapters", "opentelemetry")
"""Packages of extras: modules that need one are imported by whoever needs them."""

every_package = pytest.mark.parametrize("package", PACKAGES)


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def foreign_owners(owners: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Return which of our names belong to another distribution too, given the distributions of each top-level name."""
    others = {name: sorted(set(owners.get(name, ())) - {DISTRIBUTION}) for name in PACKAGES}
    return {name: found for name, found in others.items() if found}


def test_no_other_distribution_owns_one_of_our_names() -> None:
    found = foreign_owners(metadata.packages_distributions())
    advice = f"uninstall it, or give {DISTRIBUTION} a virtual environment of its own"
    assert not found, f"another distribution has a package of the same name: {found}; {advice}"


def test_another_owner_of_a_name_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "tools_of_others-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tools-of-others\nVersion: 1\n")
    (info / "top_level.txt").write_text("tools\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert foreign_owners(metadata.packages_distributions()) == {"tools": ["tools-of-others"]}


def test_the_packages_are_importable_from_the_installed_distribution_wherever_one_is(tmp_path: Path) -> None:
    code = f"import json, {', '.join(PACKAGES)}; print(json.dumps([{', '.join(f'{p}.__file__' for p in PACKAGES)}]))"
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"pip install -e '.[dev]' first: {done.stderr}"
    places = {Path(place).parent.parent for place in json.loads(done.stdout)}
    assert len(places) == 1, f"the packages come from different places: {places}"


@every_package
def test_a_package_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert metadata.version(DISTRIBUTION) == project["version"], "installed from older sources: install again"
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_graph_of_the_registry_is_in_langgraph_json_and_the_other_way_round() -> None:
    served = json.loads((ROOT / "langgraph.json").read_text(encoding="utf-8"))["graphs"]
    assert served == {name: f"./{entry.module.replace('.', '/')}.py:graph" for name, entry in REGISTRY.items()}
    files = {name_of(path) for path in modules("graphs") if "\ngraph = " in path.read_text(encoding="utf-8")}
    assert files == {entry.module for entry in REGISTRY.values()}


IMPORT_ALL = """
import gc, importlib, os, sys, sysconfig, threading

root, optional, *names = sys.argv[1:]
stdlib = sysconfig.get_paths()["stdlib"]
found, watching = [], True


def ours():
    # Whether our code asked for it: the nearest frame that is neither the interpreter's nor the standard library's.
    frame = sys._getframe(2)
    while frame is not None:
        file = frame.f_code.co_filename
        library = file.startswith(("<", stdlib)) and "site-packages" not in file
        if not library:
            return file.startswith(root) and "site-packages" not in file
        frame = frame.f_back
    return False


def audit(event, args):
    writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    sides = event.startswith(("socket.", "subprocess.", "sqlite3.", "os.mkdir", "os.remove", "os.system", "os.exec"))
    if watching and (writes or sides) and ours():
        found.append(f"{event} {args[:1]}")


read = os._Environ.__getitem__


def spied(self, key):
    if watching and ours():
        found.append(f"environment {key}")
    return read(self, key)


os._Environ.__getitem__ = spied
sys.addaudithook(audit)
for name in names:
    before = len(found)
    try:
        importlib.import_module(name)
    except ImportError as error:
        if error.name not in optional.split(","):
            raise
    found[before:] = [f"{name}: {what}" for what in found[before:]]
watching = False
clients = ("httpx.Client", "httpx.AsyncClient", "sqlite3.Connection", "openai.OpenAI", "openai.AsyncOpenAI")
for thing in gc.get_objects():
    bases = [f"{str(base.__module__).split('.')[0]}.{base.__qualname__}" for base in type(thing).__mro__]
    if "langchain_core.BaseChatModel" in bases or any(client in bases for client in clients):
        found.append(f"built at import: {type(thing).__qualname__}")
found += [f"thread {thread.name}" for thread in threading.enumerate() if thread is not threading.main_thread()]
print(*found, sep="\\n", end="")
"""


def import_all(root: Path, names: list[str]) -> list[str]:
    """Import modules in a fresh interpreter, and return what they did besides."""
    command = [sys.executable, "-B", "-c", IMPORT_ALL, str(root), ",".join(OPTIONAL), *names]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_importing_does_no_input_or_output_reads_no_environment_and_builds_no_client() -> None:
    assert import_all(ROOT, [name_of(path) for path in modules(*PACKAGES)]) == []


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("open('x', 'w').close()", "open ('x',)"),
        ("import os; os.environ.get('HOME')", "environment HOME"),
        ("import os; os.getenv('HOME')", "environment HOME"),
        ("import socket; s = socket.socket(); s.close()", "socket.__new__"),
        ("import httpx; client = httpx.Client()", "built at import: Client"),
        ("import sqlite3; db = sqlite3.connect(':memory:')", "sqlite3.connect"),
    ],
)
def test_a_side_effect_at_import_would_be_noticed(line: str, seen: str, tmp_path: Path) -> None:
    (tmp_path / "hasty.py").write_text(f"{line}\n", encoding="utf-8")
    assert any(seen in what for what in import_all(tmp_path, ["hasty"]))


def test_imports_are_absolute() -> None:
    for path in modules(*PACKAGES, "tests", "benchmarks"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        relative = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
        assert not relative, f"{path.relative_to(ROOT)}: lines {relative}"


def test_every_file_says_what_it_is() -> None:
    silent = [
        path.relative_to(ROOT).as_posix()
        for path in modules(*PACKAGES, "tests", "benchmarks")
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_no_module_is_too_long_to_read() -> None:
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in modules(*PACKAGES, "benchmarks")
    }
    assert {name: length for name, length in lengths.items() if length > MOST_LINES and name not in WORD_LISTS} == {}


@pytest.mark.skipif(find_spec("hatchling") is None, reason="needs hatchling to build a wheel without a network")
def test_the_wheel_holds_the_five_packages_whole_and_nothing_else(tmp_path: Path) -> None:
    code = "import sys; from hatchling.builders.wheel import WheelBuilder as B; "
    code += "print(*B(sys.argv[1]).build(directory=sys.argv[2], versions=['standard']))"
    command = [sys.executable, "-c", code, str(ROOT), str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(done.stdout.strip()) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
        (entry_points,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
        command_line = wheel.read(entry_points).decode()
        licensed = any(name.endswith("licenses/LICENSE") for name in wheel.namelist())
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()]
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    data = {
        f"{target}/{path.relative_to(ROOT / source).as_posix()}"
        for source, target in build["targets"]["wheel"]["force-include"].items()
        for path in (ROOT / source).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert all(name.startswith("tools/examples/") for name in data)
    assert held == {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts} | data
    assert "orchestra = orchestra.__main__:main" in command_line
    assert licensed
