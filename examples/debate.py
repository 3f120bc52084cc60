"""Should we build or buy a booking system? Both can be defended, and a case is worth what is left of it once the other side has
spoken: two sides, a round of rebuttals, and a judge who has no side."""

from graphs import debate
from nodes import Agent
from state import Envelope


def savings(years: int) -> int:
    """Return how many euros buying saves in so many years."""
    return (48_000 + years * 6_000) - (2_000 + years * 10_800)


async def builder(envelope: Envelope) -> str:
    """Argues for building it."""
    if "Position of buyer" not in envelope.context:
        return "We should build the booking system: it costs 500 euros a month, and buying costs 900."
    years = next(year for year in range(1, 50) if savings(year) < 0)
    return f"We should build the booking system: it is the cheaper one from year {years} on."


async def buyer(envelope: Envelope) -> str:
    """Argues for buying it."""
    if "Position of builder" not in envelope.context:
        return "We should buy the booking system: it costs 2000 euros to begin with, and building 48000."
    return f"We should buy the booking system: for the next five years it is {savings(5)} euros cheaper."


judge = Agent("judge", "Decides.", "You judge a debate by the figures that were given and not refuted.")
graph = debate.build([builder, buyer], judge=judge).compile(name="build_or_buy")


def main() -> None:
    out = graph.invoke({"task": "Should we build or buy the booking system for the next five years?"})
    print(out["answer"], *(f"- {o['id']}: {o['status']}, {o['output']}" for o in out["outcomes"]), sep="\n")


if __name__ == "__main__":
    main()
