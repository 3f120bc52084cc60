"""An incident is to be summed up for customers. Each step needs the one before: a rule takes the facts out of the log, so that
none is made up, and an agent words them."""

from graphs import sequential
from nodes import Agent

TASK = """Write an incident summary for our customers.

09:58 INFO deploy of checkout 4.2
10:02 ERROR payment provider timed out
10:05 ERROR payment provider timed out
10:09 ERROR payment provider refused the connection
10:20 INFO deploy of checkout 4.2 rolled back
"""


async def facts(task: str) -> str:
    """Takes from the log what happened, when and how often."""
    errors = [line for line in task.splitlines() if " ERROR " in line]
    cause = errors[0].split(" ERROR ")[1]
    return f"Checkout failed {len(errors)} times from {errors[0][:5]} to {errors[-1][:5]}. At first the {cause}."


writer = Agent("writer", "Words it.", "You write incident summaries: two plain sentences, no blame, no jargon.")
graph = sequential.build([facts, writer]).compile(name="incident_summary")


def main() -> None:
    out = graph.invoke({"task": TASK})
    print(out["answer"] or out["reason"])
    for outcome in out["outcomes"]:
        print(f"- {outcome['id']}: {outcome['status']}, {outcome['usage']['model_calls']} model calls")


if __name__ == "__main__":
    main()
