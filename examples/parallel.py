"""A product needs a name. Three jurors judge by three measures, without hearing each other, and the majority decides: several
views at once, and who disagreed stays on record."""

import re

from graphs import parallel

TAKEN = {"kestrel": "a line of kites"}


def names(task: str) -> list[str]:
    return re.findall(r"[A-Z]\w+", task.partition(":")[2])


async def brevity(task: str) -> str:
    """Votes for the shortest name."""
    return min(names(task), key=len)


async def sound(task: str) -> str:
    """Votes for the name with the largest share of vowels."""
    return max(names(task), key=lambda name: sum(letter in "aeiou" for letter in name.lower()) / len(name))


async def register(task: str) -> str:
    """Votes for the first name that nobody has taken."""
    return next(name for name in names(task) if name.lower() not in TAKEN)


graph = parallel.build([brevity, sound, register], resolve="vote").compile(name="name_vote")


def main() -> None:
    out = graph.invoke({"task": "Which name suits our reading lamp: Kestrel, Bluepoint, Lumo?"})
    print(out["answer"], *(f"- {o['id']}: {o['status']}, votes for {o['output']}" for o in out["outcomes"]), sep="\n")


if __name__ == "__main__":
    main()
