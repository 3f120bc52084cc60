"""What an agent may spend and how its failures are handled, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.language_models import BaseChatModel

from state.budget import Budget
from state.errors import ConfigurationError

if TYPE_CHECKING:
    from nodes.spec import Agent


@dataclass(frozen=True)
class Fallback:
    """What stands in when an agent's own model fails: another model, or another agent. Exactly one of the two.

    Args:
        model: A `"provider:model"` string or a chat model; it gets the same request.
        agent: It gets the same envelope, with its own prompt, tools and policy.
    """

    model: str | BaseChatModel | None = None
    agent: Agent | None = None

    def __post_init__(self) -> None:
        """Refuse neither and both."""
        if (self.model is None) == (self.agent is None):
            raise ConfigurationError("Fallback: expected exactly one of model= and agent=")


@dataclass(frozen=True)
class Policy:
    """Limits and failure handling of one agent.

    Args:
        timeout: Seconds for one attempt: one model call, one tool call, or one call of the function that stands for the
            agent. Waiting for a free place is not counted. An attempt that runs into it is not repeated.
        max_attempts: Model calls for one logical call, counting retries, repairs and fallback models.
        max_concurrency: Calls of the agent that may be in flight at once, over the whole run; None sets no limit of its own.
        budget: Limits of one step of the agent.
        fallback: Models and agents to turn to, in order: strings, chat models, agents, or `Fallback`.
        on_failure: `fail` ends what depends on the agent; `skip` goes on without it.
        backoff: Seconds before the first retry; doubles each time, with jitter, up to 8 s. `Retry-After` is honoured to 30 s.
        allow: Names of the only tools that may execute; None allows all the agent has.
        deny: Names of tools that may not execute, whatever `allow` says.
    """

    timeout: float = 30.0
    max_attempts: int = 3
    max_concurrency: int | None = None
    budget: Budget = Budget(model_calls=25, tool_calls=50)  # noqa: RUF009  # it is frozen
    fallback: tuple[Any, ...] = ()
    on_failure: Literal["fail", "skip"] = "fail"
    backoff: float = 0.5
    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse values that could never work."""
        if self.timeout <= 0:
            raise ConfigurationError(f"Policy.timeout: expected seconds above 0, got {self.timeout!r}")
        if self.max_attempts < 1:
            raise ConfigurationError(f"Policy.max_attempts: expected at least 1, got {self.max_attempts!r}")
        if self.max_concurrency is not None and self.max_concurrency < 1:
            raise ConfigurationError(f"Policy.max_concurrency: expected at least 1, got {self.max_concurrency!r}")
        if self.on_failure not in ("fail", "skip"):
            raise ConfigurationError(f"Policy.on_failure: expected 'fail' or 'skip', got {self.on_failure!r}")

    def fallbacks(self) -> tuple[Fallback, ...]:
        """Return the fallbacks in order, each as a `Fallback`."""
        return tuple(_as_fallback(item) for item in self.fallback)


def _as_fallback(item: Any) -> Fallback:
    if isinstance(item, Fallback):
        return item
    if isinstance(item, str | BaseChatModel):
        return Fallback(model=item)
    return Fallback(agent=item)
