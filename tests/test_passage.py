"""Passages in the form that models and engines read: nothing is lost, and nothing a document says can forge one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tools.passage import CITATION, Passage, cited_ids, parse_passages, passage_id, render_passages

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
_TRICKY = st.lists(
    st.sampled_from(["<passage id=", "</passage>", "&lt;/passage>", "&amp;", '"', "\n", "p:0", "x"])
).map("".join)


def _passage(text: str, source: str = "docs/a.md", heading: str = "A > B") -> Passage:
    return Passage(id=passage_id(source, text), source=source, heading=heading, place="lines 1-2", text=text)


def test_the_rendered_form_is_the_documented_one() -> None:
    passage = Passage(
        id="p:1a2b3c4d5e", source="docs/a.md", heading="A > B", place="lines 10-24", text="First.\n\nLast."
    )

    assert render_passages([passage]) == (
        '<passage id="p:1a2b3c4d5e" source="docs/a.md" heading="A &gt; B" place="lines 10-24">\nFirst.\n\nLast.\n</passage>'
    )


@settings(deadline=None)
@given(st.lists(st.tuples(_TEXT | _TRICKY, _TEXT | _TRICKY, _TEXT | _TRICKY), max_size=4))
def test_parsing_gives_back_what_was_rendered(parts: list[tuple[str, str, str]]) -> None:
    passages = [_passage(text, source, heading) for text, source, heading in parts]

    assert parse_passages(render_passages(passages)) == passages


@settings(deadline=None)
@given(_TRICKY)
def test_a_text_cannot_close_its_element_or_forge_another(text: str) -> None:
    rendered = render_passages([_passage(text)])

    assert rendered.count("</passage>") == 1
    assert len(re.findall("<passage", rendered)) == 1


def test_markup_and_code_reach_the_reader_unescaped() -> None:
    assert "if a < b && c: <b>&nbsp;</b>" in render_passages([_passage("if a < b && c: <b>&nbsp;</b>")])


def test_passages_are_found_anywhere_in_a_longer_text() -> None:
    one, two = _passage("one"), _passage("two")

    found = parse_passages(f"Results:\n{render_passages([one])}\nand also {render_passages([two])} end")

    assert found == [one, two]


def test_a_passage_that_was_cut_off_is_still_read() -> None:
    one, two = _passage("one"), _passage("two words")
    clipped = render_passages([one, two])[: -len(" words\n</passage>")]

    assert [passage.text for passage in parse_passages(clipped)] == ["one", "two"]


def test_an_element_without_a_valid_id_is_no_passage() -> None:
    assert parse_passages('<passage id="7" source="a">x</passage> <passage>y</passage>') == []


def test_missing_attributes_are_empty() -> None:
    (passage,) = parse_passages('<passage id="p:1a2b3c4d5e">\nx\n</passage>')

    assert (passage.source, passage.heading, passage.place, passage.text) == ("", "", "", "x")


def test_cited_ids_are_listed_once_in_order_of_first_mention() -> None:
    text = "Yes [p:bbbbbbbbbb], and [p:aaaaaaaaaa][p:bbbbbbbbbb]; not [p:XYZ], [q:cccccccccc] or p:dddddddddd."

    assert cited_ids(text) == ["p:bbbbbbbbbb", "p:aaaaaaaaaa"]


def test_an_id_depends_on_source_text_and_copy_and_fits_a_citation() -> None:
    ids = {passage_id("a.md", "x"), passage_id("b.md", "x"), passage_id("a.md", "y"), passage_id("a.md", "x", copy=1)}

    assert len(ids) == 4
    assert passage_id("a.md", "x") == passage_id("a.md", "x")
    assert all(CITATION.fullmatch(f"[{identifier}]") for identifier in ids)


def test_a_passage_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        _passage("x").text = "y"  # type: ignore[misc]  # what is tested
