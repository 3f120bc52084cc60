"""The two files of a crew of CrewAI, with the places of what they say, and what of it could not be carried over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestra.teamfile.document import Document, parse, read_bytes
from orchestra.teamfile.places import Keys, Place
from orchestra.view.figures import one_line
from state.errors import ConfigurationError

_FOLDERS = ("config", ".", "src/*/config")


@dataclass
class LeftOut:
    """What could not be carried over, or was changed.

    Args:
        path: The file that it stands in.
        place: Where.
        what: Of whom, and which key.
        remedy: What to do instead.
    """

    path: str
    place: Place
    what: str
    remedy: str

    def __str__(self) -> str:
        return one_line(f"{self.path}:{self.place.line}:{self.place.column}: {self.what}: {self.remedy}")


@dataclass
class CrewFile:
    """One of the two files.

    Args:
        path: Its path.
        document: What it says, and where.
    """

    path: Path
    document: Document

    @property
    def entries(self) -> Mapping[str, Any]:
        """Return what it describes, by name."""
        return self.document.data if isinstance(self.document.data, Mapping) else {}

    def add(self, keys: Keys, text: str) -> None:
        """Note what is wrong in it."""
        self.document.add(self.at(keys), text)

    def at(self, keys: Keys) -> Place:
        """Return where a key is written; of one that is not there, where what is around it is."""
        for length in range(len(keys), 0, -1):
            if keys[:length] in self.document.keys:
                return self.document.keys[keys[:length]]
        return Place()


def find_crew(place: str | Path, tasks: str | Path | None = None) -> tuple[Path, Path]:
    """Return the two files of a crew, of their paths or of the folder of its project.

    Raises:
        ConfigurationError: There are none.
    """
    path = Path(place).expanduser()
    if tasks is not None:
        return path, Path(tasks).expanduser()
    for pattern in _FOLDERS if path.is_dir() else ():
        for agents in sorted(path.glob(f"{pattern}/agents.yaml")):
            return agents, agents.with_name("tasks.yaml")
    if path.is_file():
        raise ConfigurationError(f"expected agents.yaml and tasks.yaml, or their folder, got {str(path)!r} alone")
    new = path / "crew.jsonc"
    more = "; crew.jsonc is not read, only the classic files are" if new.exists() else ""
    raise ConfigurationError(f"no agents.yaml in {str(path)!r}, nor in its folder `config`{more}; name both files")


def read_crew_file(path: Path) -> CrewFile:
    """Return one of the files of a crew; what is wrong with it is among its problems.

    Raises:
        ConfigurationError: It cannot be read.
    """
    try:
        content = read_bytes(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"crew file {str(path)!r} cannot be read: {why}; check the path") from None
    found = CrewFile(path, parse(content, as_json=False))
    if found.document.data is None and not found.document.problems:
        found.add((), "expected a mapping of names to what they are, got nothing")
    elif found.document.data is not None and not isinstance(found.document.data, Mapping):
        found.add((), f"expected a mapping of names to what they are, got {type(found.document.data).__name__}")
    for entry, value in found.entries.items():
        if not isinstance(value, Mapping):
            found.add((entry,), f"{entry}: expected a mapping of its keys, got {type(value).__name__}")
    return found
