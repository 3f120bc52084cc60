"""Read a team from its file: every problem of the file at once, each with its line and column."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from orchestra.teamfile.document import Document, parse, read_bytes
from orchestra.teamfile.model import TeamEntry, TeamFile
from orchestra.teamfile.names import SUFFIXES
from orchestra.teamfile.places import Place, Problem, Source
from orchestra.teamfile.wrong import problem_of
from orchestra.view.figures import visible
from state.errors import ConfigurationError, TeamFileError

_MOST_NESTED = 10


def read_team(path: str | Path) -> TeamFile:
    """Return the team that is written in a file, with the teams whose files it names.

    Args:
        path: A file that ends in `.yaml`, `.yml` or `.json`.

    Raises:
        TeamFileError: Lists everything that is wrong, by line.
        ConfigurationError: There is no such file, or it cannot be read.
    """
    return _read(Path(path).expanduser(), ())


def parse_team(content: str | bytes, *, path: str | Path = "team.yaml") -> TeamFile:
    """Return the team that a text describes; `path` says what it would be called and where relative paths begin.

    Raises:
        TeamFileError: Lists everything that is wrong, by line.
    """
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return _understood(Path(path).expanduser(), data, ())


def _read(path: Path, above: Sequence[Path]) -> TeamFile:
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigurationError(f"team file: expected a name that ends in {', '.join(SUFFIXES)}, got {str(path)!r}")
    try:
        content = read_bytes(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"team file {str(path)!r} cannot be read: {why}; check the path") from None
    return _understood(path, content, above)


def _understood(path: Path, content: bytes, above: Sequence[Path]) -> TeamFile:
    """Return the team of a file.

    Args:
        path: Its path.
        content: Its bytes.
        above: The files that name it, outermost first.

    Raises:
        TeamFileError: Something is wrong with it.
    """
    from orchestra.teamfile.references import problems_of  # it needs the patterns

    document = parse(content, as_json=path.suffix.lower() == ".json")
    team = _validated(document)
    if team is None:
        raise _refused(path, document.problems)
    place = path.absolute()
    source = Source(place, "", document.keys, document.values)
    team._source = source
    nested, problems = _nested(team, (*above, place))
    team._teams.update(nested)
    digest = hashlib.sha256(json.dumps(team.model_dump(mode="json"), sort_keys=True).encode())
    for inner in nested.values():
        digest.update(inner.source.digest.encode())
    team._source = Source(place, digest.hexdigest(), document.keys, document.values)
    if wrong := [*document.problems, *problems, *problems_of(team, whole=not problems)]:
        raise _refused(path, wrong)
    return team


def _validated(document: Document) -> TeamFile | None:
    if document.problems and document.data is None:
        return None
    if not isinstance(document.data, Mapping):
        kind = type(document.data).__name__
        got = {"list": "a list", "NoneType": "nothing"}.get(kind, f"the text {str(document.data)[:40]!r}")
        what = "expected a team: keys such as `name:`, `pattern:` and `agents:`"
        document.add(document.values.get((), Place()), f"{what}, got {got}")
        return None
    try:
        return TeamFile.model_validate(document.data)
    except ValidationError as error:
        found = error.errors(include_url=False)
        document.problems += [problem_of(one, document) for one in found]
        return None


def _nested(team: TeamFile, above: Sequence[Path]) -> tuple[dict[tuple[str, ...], TeamFile], list[Problem]]:
    """Return the teams of the files that a team names, by the keys of their entries, and what is wrong with those."""
    nested: dict[tuple[str, ...], TeamFile] = {}
    problems: list[Problem] = []
    for keys, entry in team.entries():
        if not isinstance(entry, TeamEntry) or entry.team is None:
            continue
        place, file = team.source.value(*keys, "team"), team.source.folder / entry.team
        cycle = [one for one in above if _same(one, file)]
        if cycle or len(above) > _MOST_NESTED:
            way = " -> ".join(one.name for one in (*above[above.index(cycle[0]) if cycle else 0 :], file))
            what = "no team inside of itself" if cycle else f"teams nested at most {_MOST_NESTED} deep"
            problems.append(Problem(place, f"team: expected {what}, got {way}"))
            continue
        try:
            nested[keys] = _read(file, above)
        except ConfigurationError as error:
            inner = str(error).replace("\n", "\n    ")
            problems.append(Problem(place, f"team {entry.team!r} cannot be used:\n    {inner}"))
    return nested, problems


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _refused(path: Path, problems: Sequence[Problem]) -> TeamFileError:
    ordered: list[Problem] = sorted(set(problems))
    return TeamFileError(visible(str(path)), [(one.place.line, one.place.column, visible(one.text)) for one in ordered])
