"""A product text must promise nothing that cannot be proved. That is easier to see in a draft than to avoid in writing: a writer
drafts, a critic names what has to change, until it is accepted. The critic knows a list of words; an Agent would know more."""

from graphs import review
from nodes import Agent
from nodes.decisions import Review
from state import Envelope

UNPROVED = ("best", "perfect", "revolutionary")
TASK = """What should our shop say of the Lumo lamp? These are the facts:
The Lumo lamp gives warm light for 40 hours on one charge. It is the best lamp that money can buy. It weighs 300 grams."""

prompt = "You write product texts of three sentences from the facts you are given. When there is feedback, mend what it names."
writer = Agent("writer", "Writes product texts.", prompt)


async def lawyer(envelope: Envelope) -> Review:
    """Objects to claims that cannot be proved."""
    sentences = [sentence.strip() for sentence in envelope.context["Draft"].split(".")]
    claims = [sentence for sentence in sentences if set(UNPROVED) & set(sentence.lower().split())]
    issues = [f'Nobody can prove "{claim}."' for claim in claims]
    return Review(verdict="revise" if issues else "accept", issues=issues, score=1 / (1 + len(issues)))


graph = review.build(writer, [lawyer]).compile(name="product_text")


def main() -> None:
    out = graph.invoke({"task": TASK})
    print(out["answer"] or out["reason"])
    for outcome in out["outcomes"]:
        print(f"- {outcome['id']}: {outcome['status']}, {(outcome['structured'] or {}).get('verdict', 'a draft')}")


if __name__ == "__main__":
    main()
