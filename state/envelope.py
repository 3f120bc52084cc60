"""The typed message that one agent sends to another: everything the recipient is given, and nothing else."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


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

    def render(self) -> str:
        """Return the text that the recipient reads: the task, then each part under a line `<Heading>:`."""
        parts = [self.task]
        parts += [f"{heading}:\n{text}" for heading, text in self.context.items() if text]
        if self.constraints:
            parts.append("Constraints:\n" + "\n".join(f"- {line}" for line in self.constraints))
        return "\n\n".join(parts)
