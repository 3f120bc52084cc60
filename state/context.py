"""The knobs of a run: told once, when it starts, and read by every node through `context_of`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal

from langchain_core.language_models import BaseChatModel
from langgraph.runtime import Runtime
from pydantic import Field, SkipValidation, StringConstraints, TypeAdapter, ValidationError, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import to_jsonable_python
from typing_extensions import TypedDict

from state.budget import Budget
from state.errors import ConfigurationError
from state.pii import Kind
from state.secrets import SHORTEST, protect

_MODEL_SCHEMA = {
    "type": ["string", "null"],
    "title": "Model",
    "examples": ["openai:gpt-5-mini", "extractive"],
    "description": "provider:model for every agent that names none; empty: OPENAI_* from the environment, else the "
    "embedded extractive engine, which is not a language model.",
}


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a run is told when it starts. Every field has a default; none is stored in a checkpoint."""

    model: Annotated[str | SkipValidation[BaseChatModel] | None, WithJsonSchema(_MODEL_SCHEMA)] = None
    budget: Annotated[
        Budget | None, Field(description="Limits of the whole run: calls, tokens, seconds, US dollars.")
    ] = None
    max_rounds: Annotated[int, Field(ge=1, le=100, description="Passes of a loop before the best so far is taken.")] = 3
    max_turns: Annotated[
        int, Field(ge=1, le=1000, description="Decisions of a supervisor or manager, and turns of a group chat.")
    ] = 20
    max_handoffs: Annotated[int, Field(ge=0, le=100, description="Times that control may move in one turn.")] = 5
    max_replans: Annotated[int, Field(ge=0, le=100, description="Times that a plan may be made anew.")] = 2
    max_repeats: Annotated[
        int, Field(ge=1, le=100, description="Times that the same may be done without progress before it is a loop.")
    ] = 3
    max_consultations: Annotated[
        int, Field(ge=0, le=100, description="Questions and tasks that an agent may give to others in one step.")
    ] = 5
    max_depth: Annotated[int, Field(ge=1, le=20, description="Agents in a row that may ask each other.")] = 3
    max_concurrency: Annotated[int, Field(ge=1, le=1000, description="Agents that work at the same time.")] = 8
    requests_per_minute: Annotated[
        int | None, Field(ge=1, description="Calls of each model in any 60 seconds, over the process; more wait.")
    ] = None
    tokens_per_minute: Annotated[
        int | None, Field(ge=1, description="Tokens of each model in any 60 seconds, in and out together.")
    ] = None
    max_items: Annotated[int, Field(ge=1, le=1000, description="Branches of a map-reduce, and subtasks of a plan.")] = (
        50
    )
    max_candidates: Annotated[
        int,
        Field(ge=1, le=1000, description="Agents that a router or planner chooses from: of more, the best matching."),
    ] = 12
    min_confidence: Annotated[
        float, Field(ge=0, le=1, description="How sure a router must be; below, the default route is taken.")
    ] = 0.5
    digest_above: Annotated[
        int,
        Field(
            ge=0,
            le=100_000,
            description="Characters of a reply that a supervisor reads; of longer ones a digest. 0: all.",
        ),
    ] = 0
    transcript_window: Annotated[
        int, Field(ge=1, le=1000, description="Latest contributions to a group chat that are read in full.")
    ] = 3
    history_window: Annotated[
        int, Field(ge=0, le=1000, description="Messages of earlier turns that an agent remembers.")
    ] = 20
    deadline: Annotated[
        float | None, Field(gt=0, description="When the run must have ended: seconds since 1970, UTC.")
    ] = None
    approval_expires: Annotated[
        float | None,
        Field(gt=0, description="Seconds after which an approval that nobody gave is decided by its default."),
    ] = None
    approval_default: Annotated[
        Literal["approve", "reject"], Field(description="What is decided about an approval when its time ran out.")
    ] = "reject"
    corpus: Annotated[
        str, Field(description="Folder of documents to search; empty: the language reference that ships in Python.")
    ] = ""
    prompts: Annotated[
        Mapping[str, Annotated[str, StringConstraints(max_length=100_000)]],
        Field(
            description="Prompts by agent name, in place of the agents' own. An empty one changes nothing.",
            json_schema_extra={"default": {}},
        ),
    ] = field(default_factory=dict, hash=False)
    # Not in the schema: a form, and what a server notes of it, is no place for them.
    secrets: SkipJsonSchema[
        Annotated[
            Mapping[str, Annotated[str, StringConstraints(min_length=SHORTEST)]],
            Field(
                description="Secrets by name, read by tools with `secret(name)`: never stored, shown or sent to a model."
            ),
        ]
    ] = field(default_factory=dict, repr=False, hash=False)
    redact: Annotated[
        tuple[Kind, ...],
        Field(description="Kinds of personal data that are taken out of what models are sent and what is kept."),
    ] = ()

    def __post_init__(self) -> None:
        """Refuse a value out of range, naming the field.

        Raises:
            ConfigurationError: A field has the wrong type or is out of its range.
        """
        try:
            checked = _CHECK.validate_python({field.name: getattr(self, field.name) for field in fields(self)})
        except ValidationError as error:
            lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}{_got(e['loc'], e['input'])}" for e in error.errors()]
            raise ConfigurationError("Context: " + "; ".join(lines)) from None
        object.__setattr__(self, "budget", checked["budget"])
        object.__setattr__(self, "redact", checked["redact"])
        object.__setattr__(self, "prompts", dict(checked["prompts"]))
        object.__setattr__(self, "secrets", dict(checked["secrets"]))
        protect(self, checked["secrets"].values())


def _got(place: tuple[int | str, ...], value: Any) -> str:
    return f", got {value!r}" if place[0] not in ("secrets", "prompts") else ""


# Built from the dataclass itself, so that the two cannot drift apart.
_CHECK: TypeAdapter[dict[str, Any]] = TypeAdapter(TypedDict("ContextFields", dict(Context.__annotations__)))  # type: ignore[operator]
_DEFAULT = Context()


def context_of(runtime: Runtime[Any] | None) -> Context:
    """Return the run's context, or the defaults when the run was given none.

    The one place where `runtime.context` is read: it is None when a graph is invoked without a context, a mapping when a
    server hands over what a form sent, and something else in a node of somebody else's graph.
    """
    context = getattr(runtime, "context", None)
    return check_context(context) if isinstance(context, Context | Mapping) else _DEFAULT


def with_defaults(schema: Mapping[str, Any], knobs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a context, in which these values are the defaults of their fields."""
    values = to_jsonable_python(dict(knobs), exclude_none=True)
    changed = {
        name: {**field, "default": values[name]} for name, field in schema["properties"].items() if name in values
    }
    return {**schema, "properties": {**schema["properties"], **changed}}


def check_context(context: Any) -> Context:
    """Return a context, made from a mapping of its fields where it is one.

    Raises:
        ConfigurationError: It is something else, or has a field that is unknown, of the wrong type or out of its range.
    """
    if isinstance(context, Context):
        return context
    if not isinstance(context, Mapping):
        raise ConfigurationError(
            f"context: expected a Context or a mapping of its fields, got {type(context).__name__}"
        )
    known = [field.name for field in fields(Context)]
    if unknown := sorted(str(name) for name in context if name not in known):
        raise ConfigurationError(f"Context: unknown field {', '.join(unknown)}; known are {', '.join(known)}")
    return Context(**context)
