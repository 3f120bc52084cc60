"""What an agent may spend and how its failures are handled, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from langchain_core.language_models import BaseChatModel

from state.budget import Budget
from state.errors import ConfigurationError
from tools.marks import Right
from tools.rights import check_rights

if TYPE_CHECKING:
    from nodes.spec import AnyAgent


@dataclass(frozen=True)
class Fallback:
    """What stands in when an agent's own model fails: another model, or another agent. Exactly one of the two.

    Args:
        model: A `"provider:model"` string or a chat model; it gets the same request.
        agent: It gets the same envelope, with its own prompt, tools and policy.
    """

    model: str | BaseChatModel | None = None
    agent: AnyAgent | None = None

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
        on_failure: `fail` ends what depends on the agent; `skip` goes on without it; `escalate` asks a person, who has it try
            again (as it was, or with another task), leaves it, or answers; `Context.max_rounds` times at most.
        backoff: Seconds before the first retry; doubles each time, with jitter, up to 8 s. `Retry-After` is honoured to 30 s.
        cache: Seconds for which the same request to the same model is answered from the cache; None asks every time.
        requests_per_minute: Model calls of the agent in any 60 seconds, over the process; more wait. None sets no limit.
        tokens_per_minute: The same for tokens, in and out together.
        breaker_failures: Failures in a row of a model or tool, from which it is left alone.
        breaker_reset: Seconds that it is left alone; then a single call finds out.
        allow: Names of the only tools that may execute; None allows all the agent has.
        approve: Names of tools that a person has to agree to, call by call.
        deny: Names of tools that may not execute, whatever `allow` and `approve` say.
        grants: Rights that its tools may need: some of read, write, effect, network, code; None grants all. See `tools.needs`.
        tainted: What becomes of a call that needs more than `read`, once content from outside (tools, documents, people) is in
            the agent's context: `allow`, `approve` or `deny`.
    """

    timeout: float = 30.0
    max_attempts: int = 3
    max_concurrency: int | None = None
    budget: Budget = Budget(model_calls=25, tool_calls=50)  # noqa: RUF009  # it is frozen
    fallback: tuple[Any, ...] = ()
    on_failure: Literal["fail", "skip", "escalate"] = "fail"
    backoff: float = 0.5
    cache: float | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    breaker_failures: int = 5
    breaker_reset: float = 30.0
    allow: tuple[str, ...] | None = None
    approve: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    grants: tuple[Right, ...] | None = None
    tainted: Literal["allow", "approve", "deny"] = "allow"

    def __post_init__(self) -> None:
        """Refuse values that could never work."""
        if self.timeout <= 0:
            raise ConfigurationError(f"Policy.timeout: expected seconds above 0, got {self.timeout!r}")
        if self.max_attempts < 1:
            raise ConfigurationError(f"Policy.max_attempts: expected at least 1, got {self.max_attempts!r}")
        for name in ("max_concurrency", "requests_per_minute", "tokens_per_minute", "breaker_failures"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ConfigurationError(f"Policy.{name}: expected at least 1, got {value!r}")
        if self.breaker_reset <= 0:
            raise ConfigurationError(f"Policy.breaker_reset: expected seconds above 0, got {self.breaker_reset!r}")
        if self.on_failure not in ("fail", "skip", "escalate"):
            expected = "'fail', 'skip' or 'escalate'"
            raise ConfigurationError(f"Policy.on_failure: expected {expected}, got {self.on_failure!r}")
        self._check_rights()

    def _check_rights(self) -> None:
        if self.tainted not in ("allow", "approve", "deny"):
            raise ConfigurationError(f"Policy.tainted: expected 'allow', 'approve' or 'deny', got {self.tainted!r}")
        for name in ("allow", "approve", "deny"):
            if isinstance(names := getattr(self, name), str):
                raise ConfigurationError(f"Policy.{name}: expected a tuple of names of tools, got {names!r}")
        if self.grants is not None:
            check_rights("Policy.grants", self.grants)

    def fallbacks(self) -> tuple[Fallback, ...]:
        """Return the fallbacks in order, each as a `Fallback`."""
        return tuple(_as_fallback(item) for item in self.fallback)


def _as_fallback(item: Any) -> Fallback:
    if isinstance(item, Fallback):
        return item
    if isinstance(item, str | BaseChatModel):
        return Fallback(model=item)
    return Fallback(agent=item)
