"""JSON in what a model wrote: with text around it, in a code fence, or damaged in the ways models damage it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from json_repair import repair_json
from pydantic import BaseModel, TypeAdapter

from state.excerpts import clip

if TYPE_CHECKING:
    from jsonschema import ValidationError

MAX_STARTS = 200
"""Places of a text that are tried for the beginning of a JSON object."""
MAX_REPAIRED = 50_000
"""Characters; a longer text is read strictly or not at all."""
MAX_READ = 1_000_000
"""Characters that are looked at, again and again, until a text counts as beyond repair. A second's work at most."""
MAX_PROBLEMS = 5
"""Things wrong with one answer that are told."""
_MAX_PROBLEM = 200
"""Characters of each: it quotes the answer."""


def read_answers(text: str, schemas: dict[str, Any], *, several: bool = False) -> list[Any]:
    """Return the values in a text that fit one of the schemas: the first, or all of them, in their order.

    Strict JSON is looked for first. Where there is none that fits, comments, bad escapes, single quotes, missing commas and
    brackets are repaired.

    Args:
        text: What the model wrote.
        schemas: Pydantic models, other types, or JSON schemas, by name.
        several: Whether more than one value may be an answer.
    """
    for objects in (_strict_objects, _repaired_objects):
        found = [value for raw in objects(text) for value in _fitting(raw, schemas)]
        if found:
            return found if several else found[:1]
    return []


def schemas_of(response_format: Any) -> dict[str, Any]:
    """Return the schemas that an answer may have, by the name that the model knows them by."""
    specs = getattr(response_format, "schema_specs", None)
    if specs:
        return {spec.name: spec.schema for spec in specs}
    schema = getattr(response_format, "schema", response_format)
    if isinstance(schema, dict):
        return {schema.get("title", "response"): schema}
    return {getattr(one, "__name__", "response"): one for one in alternatives(schema)}


def alternatives(schema: Any) -> tuple[Any, ...]:
    """Return the members of a union of schemas; of anything else itself."""
    return get_args(schema) if get_origin(schema) in (Union, UnionType) else (schema,)


def fits(value: Any, schema: Any) -> Any:
    """Return a raw value as its schema has it; also one that is the only object in another, as in `{"result": {...}}`.

    Raises:
        ValueError: It has another shape.
    """
    try:
        return _validated(value, schema)
    except ValueError:
        parts = value.values() if isinstance(value, dict) else ()
        inner = [part for part in parts if isinstance(part, dict)]
        if len(inner) != 1:
            raise
        with suppress(ValueError):
            return _validated(inner[0], schema)
        raise


def _validated(value: Any, schema: Any) -> Any:
    if not isinstance(schema, dict):
        return TypeAdapter(schema).validate_python(value)
    if schema.get("type", "object") == "object":
        required = set(schema.get("required", ()))
        if not isinstance(value, dict) or (missing := required - set(value)):
            raise ValueError(f"expected an object with {sorted(required)}, without {sorted(missing)}")
    if problems := _problems(value, schema):
        number = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''}"
        raise ValueError("\n".join([f"{number} for {schema.get('title', 'response')}", *problems]))
    return value


def _problems(value: Any, schema: dict[str, Any]) -> list[str]:
    """Return what a JSON schema does not allow in a value, at most `MAX_PROBLEMS`; nothing of a schema that is broken."""
    # It takes a quarter of a second to import: see `nodes.layers.output`, which does so in a thread.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import UnknownType, best_match
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    broken = (UnknownType, Unresolvable, re.error, RecursionError)
    wrong_values = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError)  # such as `properties: 3`
    nothing_fetched: Registry[Any] = Registry()
    try:
        found = list(islice(Draft202012Validator(schema, registry=nothing_fetched).iter_errors(value), MAX_PROBLEMS))
        if not found or not _is_sound(json.dumps(schema)):
            return []
    except (*broken, *wrong_values):
        return []
    return [_told(best_match([error]) or error) for error in found]


def _told(error: ValidationError) -> str:
    """Return in one line what is wrong, and where in the answer that is."""
    message, where = clip(error.message, _MAX_PROBLEM), ".".join(map(str, error.absolute_path))
    return " ".join(f"{where}: {message}".split() if where else message.split())


@lru_cache(maxsize=64)
def _is_sound(schema: str) -> bool:
    """Whether a JSON schema is one."""
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(json.loads(schema))
    except SchemaError:
        return False
    return True


def as_plain_json(value: Any) -> dict[str, Any] | None:
    """Return a structured answer as plain JSON, which is what outcomes and checkpoints hold; several under `answers`."""
    if value is None:
        return None
    model = isinstance(value, BaseModel)
    plain = _encodable(value.model_dump(mode="json") if model else TypeAdapter(Any).dump_python(value, mode="json"))
    if isinstance(plain, list):
        return {"answers": plain}
    return plain if isinstance(plain, dict) else {"value": plain}


def _encodable(plain: Any) -> Any:
    """Return plain JSON with every text as UTF-8 can encode it: half a surrogate pair cannot be stored."""
    text = json.dumps(plain, ensure_ascii=False)
    encoded = text.encode("utf-8", "replace")
    return plain if encoded.decode("utf-8") == text else json.loads(encoded)


def _fitting(raw: Any, schemas: dict[str, Any]) -> Iterator[Any]:
    """Yield a raw value in the first shape that it fits, if there is one."""
    for schema in schemas.values():
        try:
            yield fits(raw, schema)
        except (ValueError, RecursionError):
            continue
        return


def _strict_objects(text: str) -> Iterator[Any]:
    """Yield the JSON objects of a text, those inside of others too as long as nothing around them was an object."""
    decoder, start, left = json.JSONDecoder(), text.find("{"), MAX_READ
    for _ in range(MAX_STARTS):
        if start == -1 or left < 0:
            return
        try:
            value, end = decoder.raw_decode(text, start)
            yield value
        except (ValueError, RecursionError) as error:  # no JSON, or nested beyond reason
            left -= getattr(error, "pos", start) - start
            end = start + 1
        start = text.find("{", end)


class _Metered(str):
    """A text that can be looked at character by character for so long only: repairing can take the square of its length."""

    left = MAX_READ

    def __getitem__(self, at: Any) -> str:
        self.left -= 1
        if self.left < 0:
            raise ValueError("beyond repair")
        return super().__getitem__(at)


def _repaired_objects(text: str) -> Iterator[Any]:
    start = min((at for at in (text.find("{"), text.find("[{")) if at >= 0), default=-1)
    if start == -1 or len(text) - start > MAX_REPAIRED:
        return
    try:
        repaired = repair_json(_Metered(text[start:]), return_objects=True)
    except (ValueError, RecursionError):
        return
    yield from repaired if isinstance(repaired, list) else [repaired]
