"""The typed message that one agent sends to another: everything the recipient is given, and nothing else."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from state.labels import as_data


class Envelope(BaseModel):
    """One task on its way to one agent.

    An agent sees its own prompt, its window of memory, and this. What is not in `context` is not known to it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sender: str = Field(min_length=1, description="Who asks: an agent's name, or `user`.")
    recipient: str = Field(min_length=1, description="The agent that gets it.")
    task: str = Field(description="What to do.")
    context: dict[str, str] = Field(
        default_factory=dict, description="What the task depends on: heading to text, in the order it is to be read."
    )
    constraints: tuple[str, ...] = Field(default=(), description="What the answer has to respect, one sentence each.")
    taint: tuple[str, ...] = Field(
        default=(), description="Where what is told came from, as far as that is outside: tools, documents, people."
    )

    def render(self, *, labels: bool = True) -> str:
        """Return the text that the recipient reads: the task, then each part under a line `<Heading>:`.

        Args:
            labels: Whether parts that may hold what came from outside stand between lines that say so.
        """
        source = ", ".join(self.taint) if labels else ""
        parts = [self.task]
        parts += [f"{heading}:\n{as_data(text, source)}" for heading, text in self.context.items() if text]
        if self.constraints:
            parts.append("Constraints:\n" + "\n".join(f"- {line}" for line in self.constraints))
        return "\n\n".join(parts)
