"""Should we build or buy a booking system? Both can be defended, and a case is worth what is left of it after the other side has
spoken: two sides, one round of rebuttals, and a judge who has no side."""

from graphs import debate
from nodes import Agent
from state import Envelope

BUILD, BUY = "build the booking system", "buy the booking system"
ONCE, MONTHLY = {BUILD: 48_000, BUY: 2_000}, {BUILD: 500, BUY: 900}


def cost(option: str, months: int) -> int:
    return ONCE[option] + months * MONTHLY[option]


async def builder(envelope: Envelope) -> str:
    """Argues for building it."""
    if "Position of buyer" not in envelope.context:
        return f"We should {BUILD}: it costs {MONTHLY[BUILD]} euros a month, and buying costs {MONTHLY[BUY]}."
    years = next(year for year in range(1, 100) if cost(BUILD, 12 * year) < cost(BUY, 12 * year))
    return f"We should {BUILD}: it is the cheaper one from year {years} on."


async def buyer(envelope: Envelope) -> str:
    """Argues for buying it."""
    if "Position of builder" not in envelope.context:
        return f"We should {BUY}: it costs {ONCE[BUY]} euros to begin with, and building costs {ONCE[BUILD]}."
    return f"We should {BUY}: in the five years we plan for it costs {cost(BUY, 60)} euros, and building {cost(BUILD, 60)}."


judge = Agent("judge", "Decides.", "You judge a debate by the figures that were given and not refuted. You have no side.")
graph = debate.build([builder, buyer], judge=judge).compile(name="build_or_buy")


def main() -> None:
    out = graph.invoke({"task": "Should we build or buy the booking system for the next five years?"})
    print(out["answer"], *(f"- {o['id']}: {o['status']}, {o['output']}" for o in out["outcomes"]), sep="\n")


if __name__ == "__main__":
    main()
