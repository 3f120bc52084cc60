"""A travel desk gets small questions and large ones. A team for a small one is waste, one agent for a large one is slow: the
question is planned first, and the shape of its plan decides who works on it and how."""

from graphs import adaptive

TRAINS = {"Bern": "08:31 and 12:04", "Basel": "07:59 and 10:15"}
HOTELS = {"Bern": 120, "Basel": 140}


async def trains(task: str) -> str:
    """Knows when trains leave for a city."""
    return " ".join(f"Trains leave for {city} at {times}." for city, times in TRAINS.items() if city in task)


async def hotels(task: str) -> str:
    """Knows what hotels cost in a city."""
    return " ".join(f"Hotels in {city} cost {euros} euros a night." for city, euros in HOTELS.items() if city in task)


graph = adaptive.build([trains, hotels]).compile(name="travel_desk")


def main() -> None:
    for task in ("When do trains leave for Bern?", "When do trains leave for Basel? What do hotels cost in Basel?"):
        out = graph.invoke({"task": task})
        print(out["answer"] or out["reason"])
        print(f"({out['structured']['pattern']}: {out['structured']['why']})")
        for outcome in out["outcomes"]:
            print(f"- {outcome['id']} by {outcome['agent']}: {outcome['status']}")


if __name__ == "__main__":
    main()
