"""The text of a team file as plain data, with the place of every key and value.

YAML is read by the core schema of YAML 1.2, as editors check it: `no`, `on`, `12:30` and `2024-01-01` are texts. JSON is read as
JSON. Bounds: bytes of a file, values with all aliases written out, and depth; so no file takes long, whatever is in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from orchestra.teamfile.places import Keys, Place, Problem

MOST_BYTES = 256 * 1024
MOST_VALUES = 20_000
MOST_DEPTH = 40

_TAG = "tag:yaml.org,2002:"
_NUMBER_DIGITS = 30
"""Characters of a number; what is longer is a text."""


@dataclass
class Document:
    """What a text says.

    Args:
        data: Plain data: mappings with texts as keys, lists, texts, numbers, booleans, None.
        keys: Place of each key, and of each item of a list.
        values: Place of each value.
        problems: What is wrong with the text itself.
    """

    data: Any = None
    keys: dict[Keys, Place] = field(default_factory=dict)
    values: dict[Keys, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, place: Place, text: str) -> None:
        """Note what is wrong at a place."""
        self.problems.append(Problem(place, text))


def parse(content: bytes, *, as_json: bool) -> Document:
    """Return what the content of a file says; what is wrong with it is among its problems.

    Args:
        content: The bytes of the file.
        as_json: Whether it is JSON and nothing else.
    """
    found = Document()
    text = _decoded(content, found)
    if text is None:
        return found
    if not as_json:
        node = _composed(text, found)
        if node is not None:
            found.data = _Reader(found).read(node)
    elif _loaded_json(text, found):
        _find_places(text, found)
    for keys, said in _texts(found.data):
        if "\0" in said or not _is_encodable(said):
            found.add(_place_of(found, keys), "expected text, got NUL or half of a surrogate pair in it; leave it out")
    return found


def _decoded(content: bytes, found: Document) -> str | None:
    if len(content) > MOST_BYTES:
        found.add(Place(), f"expected at most {MOST_BYTES // 1024} KB, got {len(content) // 1024} KB; split the team")
        return None
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        found.add(place, f"expected UTF-8, got the byte 0x{content[error.start]:02x}; save the file as UTF-8")
        return None


class Loader(yaml.SafeLoader):
    """The nodes of a YAML text, with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # as the base has it: none of YAML 1.1

    def fetch_flow_collection_start(self, token: Any) -> None:
        """Refuse brackets that are nested too deep, before the time that they take grows with their square."""
        if self.flow_level > MOST_DEPTH:
            raise RecursionError
        super().fetch_flow_collection_start(token)


for _kind, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+|0o[0-7]+", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
):
    Loader.add_implicit_resolver(f"{_TAG}{_kind}", re.compile(f"(?:{_pattern})\\Z"), list(_first))


def _composed(text: str, found: Document) -> yaml.Node | None:
    """Return the one document of a YAML text, or note why there is none."""
    loader = None
    try:
        loader = Loader(text)  # it looks at the characters at once
        node: yaml.Node | None = loader.get_single_node()
        if node is None:
            found.add(Place(), _EMPTY)
        return node
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        found.add(place, f"expected text, got the control character {chr(error.character)!r}; leave it out")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(mark.line + 1, mark.column + 1) if mark is not None else Place()
        found.add(place, _explained(error, text, place))
    except RecursionError:
        found.add(Place(), f"expected values nested at most {MOST_DEPTH} deep")
    finally:
        if loader is not None:
            loader.dispose()
    return None


_EMPTY = "expected a team, got an empty file; begin with `name:`, `pattern:` and `agents:`"


def _explained(error: yaml.MarkedYAMLError, text: str, place: Place) -> str:
    """Return what is wrong with YAML that cannot be read, with what to do about the mistakes that people make."""
    said = " ".join(str(error.problem or error.context or "").split())
    line = text.split("\n")[place.line - 1] if place.line <= text.count("\n") + 1 else ""
    if "\t" in line[: place.column] and "'\\t'" in said:
        return "expected spaces, got a tab; indent with spaces"
    remedies = {
        "mapping values are not allowed": "put a text that contains ': ' in quotes, or write it below `|`",
        "could not find expected ':'": "expected `key: value`; indent the lines of a long text below `|`",
        "expected ',' or": "put a text that contains ': ' in quotes, or close the bracket before",
        "expected <block end>": "indent all keys of one thing alike, and close what was opened",
        "but found another document": "expected one team in a file; leave out the second `---`",
        "found undefined alias": "define it before with `&name`, or put the text in quotes",
        "found character '@'": "put the text in quotes",
        "found character '`'": "put the text in quotes",
        "found unexpected end of stream": "close the quotes or brackets that were opened",
    }
    remedy = next((remedy for part, remedy in remedies.items() if part in said), "mend the YAML here")
    return f"cannot be read as YAML: {said or 'no more is known'}; {remedy}"


class _Reader:
    """Makes plain data of nodes."""

    def __init__(self, found: Document) -> None:
        self.found, self.count, self.open = found, 0, list[int]()

    def read(self, node: yaml.Node, keys: Keys = ()) -> Any:
        """Return the data of a node, and note its place and those of all below it."""
        self.count += 1
        place = _place(node)
        self.found.values[keys] = place
        if id(node) in self.open:
            self.found.add(place, "expected an end, got an alias inside of what it stands for; write it out")
            return None
        if self.count > MOST_VALUES or len(self.open) > MOST_DEPTH:
            if self.count <= MOST_VALUES or self.count == MOST_VALUES + 1:
                most = f"at most {MOST_VALUES} values nested at most {MOST_DEPTH} deep"
                self.found.add(place, f"expected {most}, with every alias written out")
            self.count = max(self.count, MOST_VALUES + 1)
            return None
        self.open.append(id(node))
        try:
            return self._of(node, keys)
        finally:
            self.open.pop()

    def _of(self, node: yaml.Node, keys: Keys) -> Any:
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, keys)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            for index, item in enumerate(node.value):
                self.found.keys[*keys, index] = _place(item)
            return [self.read(item, (*keys, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, keys: Keys) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = _place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.found.add(place, "expected a text as key, got a list or mapping; put texts with braces in quotes")
                continue
            key = str(key_node.value)
            if key == "<<" and key_node.style is None:
                self.found.add(place, "expected a key, got '<<'; merging is not part of YAML 1.2: write the keys out")
            elif key in data:
                first = self.found.keys[*keys, key].line
                self.found.add(place, f"expected every key once, got {key!r} again; the first is in line {first}")
            else:
                self.found.keys[*keys, key] = place
                data[key] = self.read(value_node, (*keys, key))
        return data

    def _scalar(self, node: yaml.Node) -> Any:
        kind, text = node.tag.removeprefix(_TAG), str(node.value)
        if kind == "str" or (kind in ("int", "float") and len(text) > _NUMBER_DIGITS):
            return text
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "int":
            return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
        if kind == "float":
            return float(text.replace(".inf", "inf").replace(".nan", "nan"))
        self.found.add(_place(node), f"expected plain values, got the tag {node.tag[:60]!r}; leave it out")
        return None


def _place(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _loaded_json(text: str, found: Document) -> bool:
    if not text.strip():
        found.add(Place(), _EMPTY)
        return False
    try:
        found.data = json.loads(text, parse_constant=_refuse_constant)
        return True
    except json.JSONDecodeError as error:
        found.add(Place(error.lineno, error.colno), f"cannot be read as JSON: {error.msg}; mend it here")
    except (ValueError, RecursionError) as error:
        what = "values nested less deep" if isinstance(error, RecursionError) else str(error)
        found.add(Place(), f"cannot be read as JSON: expected {what}")
    return False


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"a number, got {name}")


def _find_places(text: str, found: Document) -> None:
    """Note the places of JSON, which is YAML but for tabs between its values; and what YAML finds wrong: keys used twice."""
    shadow = Document()
    node = _composed(text.replace("\t", " "), shadow)
    if node is not None:
        _Reader(shadow).read(node)
        found.problems += shadow.problems
    found.keys, found.values = shadow.keys, shadow.values


def _texts(data: Any, keys: Keys = ()) -> Iterator[tuple[Keys, str]]:
    """Yield every text with its keys, keys that are texts too."""
    if isinstance(data, str):
        yield keys, data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield (*keys, key), key
            yield from _texts(value, (*keys, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _texts(value, (*keys, index))


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _place_of(found: Document, keys: Keys) -> Place:
    return found.values.get(keys, Place())


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, of at most one byte more than is read.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)
