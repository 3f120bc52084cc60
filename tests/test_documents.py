"""Every kind of file becomes sections with headings and places; what cannot be read says why, and passages keep to their size."""

from __future__ import annotations

import io
import json
import os
import socket
import warnings
from pathlib import Path

import docx
import pypdf
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pdf_file import pdf_bytes
from state.errors import DocumentError
from tools.documents import LARGEST_FILE, File, Skipped, find_documents, read_document
from tools.retrieval.cutting import LARGEST, Piece, cut


def pieces(text: str | bytes, name: str) -> list[Piece]:
    return cut(read_document(text if isinstance(text, bytes) else text.encode(), name))


def headings(text: str | bytes, name: str) -> list[str]:
    return [piece.heading for piece in pieces(text, name)]


def body(sentences: int = 8) -> str:
    return "This sentence is long enough to make a passage of its own here. " * sentences


# Markdown


def test_markdown_headings_of_both_kinds_make_a_path() -> None:
    text = (
        f"Guide\n=====\n\n{body()}\n\n## Setup ##\n\n{body()}\n\n### On *Linux*\n\n{body()}\n\nUse\n---\n\n{body()}\n"
    )

    assert headings(text, "a.md") == ["Guide", "Guide > Setup", "Guide > Setup > On Linux", "Guide > Use"]


def test_a_comment_in_fenced_code_is_no_heading_and_code_stays_whole() -> None:
    text = f"# A\n\n{body()}\n\n```sh\n# not a heading\n\nmake\n```\n\n{body()}\n"

    found = pieces(text, "a.md")

    assert {piece.heading for piece in found} == {"A"}
    assert any("```sh\n# not a heading\n\nmake\n```" in piece.text for piece in found)


def test_a_fence_that_is_never_closed_does_not_swallow_the_rest() -> None:
    assert headings(f"# A\n\n```\n{body()}\n\n# B\n\n{body()}", "a.md") == ["A", "B"]


def test_the_front_matter_names_the_document_and_is_not_text() -> None:
    document = read_document(b'---\ntitle: "Release plan"\ntags: [x]\n---\n\nBody.\n', "a.md")

    assert document.title == "Release plan"
    assert [piece.text for piece in cut(document)] == ["Body."]
    assert cut(document)[0].place == "line 6"


def test_a_heading_with_nothing_under_it_is_a_text_of_its_own() -> None:
    found = pieces("# Shopping\n\n## Milk\n\n## Bread\n\n# Nothing else\n", "a.md")

    assert [(piece.text, piece.place) for piece in found] == [
        ("Milk\n\nBread", "lines 3-5"),
        ("Nothing else", "line 7"),
    ]


def test_small_neighbours_share_a_passage_that_names_them() -> None:
    (found,) = pieces("# Glossary\n\n## Ant\n\nAn insect.\n\n## Bee\n\nAlso an insect.\n", "a.md")

    assert found.heading == "Glossary > Ant, Bee"
    assert found.text == "Ant\nAn insect.\n\nBee\nAlso an insect."
    assert found.place == "lines 5-9"


# reStructuredText and plain text


def test_restructured_headings_get_their_level_from_first_use() -> None:
    text = f"=====\nGuide\n=====\n\n{body()}\n\nSetup\n-----\n\n{body()}\n\nLinux\n~~~~~\n\n{body()}\n\nUse\n---\n\n{body()}\n"

    assert headings(text, "a.rst") == ["Guide", "Guide > Setup", "Guide > Setup > Linux", "Guide > Use"]


def test_documented_definitions_are_headed_by_their_signature() -> None:
    text = f"Names\n=====\n\n.. function:: bind(name, value)\n\n   {body()}\n\n.. class:: Scope\n\n   {body()}\nAfter:\n{body()}"

    assert headings(text, "a.rst") == ["Names > bind(name, value)", "Names > Scope", "Names"]


def test_a_signature_with_an_indented_text_is_a_definition_in_plain_text_too() -> None:
    init, both = "object.__init__(self[, ...])", "object.__add__(self, other)\nobject.__sub__(self, other)"
    text = f"Methods\n*******\n\n{init}\n\n   {body()}\n\n{both}\n\n   {body()}\n"

    assert headings(text, "a.rst") == [
        "Methods > object.__init__(self[, ...])",
        "Methods > object.__add__, object.__sub__",
    ]


@pytest.mark.parametrize("text", ["# One\n\nx\n\n# Two\n\ny\n", "One\n===\n\nx\n\nTwo\n===\n\ny\n"])
def test_a_text_file_that_is_markup_is_read_as_what_it_is(text: str) -> None:
    assert headings(text, "README") == ["One, Two"]


def test_plain_text_is_cut_at_paragraphs_with_its_lines() -> None:
    found = pieces("\n\n".join(body(6).strip() for _ in range(6)), "a.txt")

    assert [piece.place for piece in found] == ["lines 1-3", "lines 5-7", "lines 9-11"]


# HTML


def test_html_is_read_as_a_reader_sees_it() -> None:
    page = f"""<html><head><title>Bees &amp; ants</title><style>p {{}}</style></head><body>
    <nav><a href="/">Home</a></nav><h1>Bees</h1><p>{body()}</p>
    <h2>Queens <a class="headerlink" href="#q">¶</a></h2><p>They use <code>lay()</code>.<p>{body()}
    <ul><li>One<li>Two</ul><pre>a\n  b</pre><table><tr><th>Name<th>Eggs</tr><tr><td>Q<td>2000</tr></table>
    <script>var x = 1;</script></body></html>"""

    document = read_document(page.encode(), "a.html")
    text = "\n".join(piece.text for piece in cut(document))

    assert document.title == "Bees & ants"
    assert [piece.heading for piece in cut(document)] == ["Bees", "Bees > Queens"]
    assert "They use `lay()`." in text
    assert "- One\n- Two" in text
    assert "a\n  b" in text
    assert "Q | 2000" in text
    assert not any(hidden in text for hidden in ("Home", "var x", "p {", "¶"))


def test_only_the_main_part_of_a_page_is_read_when_it_is_marked() -> None:
    page = f"<body><h1>Site</h1><div>menu</div><main><h1>Topic</h1><p>{body()}</p></main><div>imprint</div></body>"

    (found,) = pieces(page, "a.html")

    assert found.heading == "Topic"
    assert "menu" not in found.text
    assert "imprint" not in found.text


def test_html_lines_are_those_of_the_source() -> None:
    assert [piece.place for piece in pieces("<p>\nfirst\n</p>\n\n<p>second</p>", "a.html")] == ["lines 2-5"]


# Source code and data


def test_python_is_cut_at_classes_and_functions_with_decorators_and_comments() -> None:
    filler = "".join(f"        value_{n} = {n}  # {body(1)}\n" for n in range(4))
    head = '"""Bees."""\nimport os\n\n\n# Why\n@decorated\nclass Bee(Insect):\n    """A bee."""\n\n'
    source = f"{head}    async def fly(self):\n{filler}\n    def lay(self):\n{filler}\n\nTOTAL = 1\n"

    document = read_document(source.encode(), "bee.py")
    found = cut(document)

    assert document.title == "Bees."
    assert "class Bee > def fly" in [piece.heading for piece in found]
    assert found[0].text.startswith('"""Bees."""\nimport os')
    assert any("# Why\n@decorated\nclass Bee(Insect):" in piece.text for piece in found)
    assert "".join("".join(piece.text.split()) for piece in found) == "".join(source.split())


def test_python_that_does_not_parse_is_read_all_the_same() -> None:
    assert headings(f"class Old:\n    def method(self):\n        print 'x'\n{body()}\n", "old.py") == [
        "class Old > def method(self)"
    ]


def test_reading_python_warns_nobody_of_what_is_deprecated_in_it() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pieces(r"x = '\d'", "a.py")


@pytest.mark.parametrize(
    ("name", "source", "heading"),
    [
        (
            "a.go",
            "func (s *Server) Listen(port int) error {\n\treturn nil\n}",
            "func (s *Server) Listen(port int) error",
        ),
        ("a.rs", "pub fn parse(text: &str) -> Tree {\n}", "pub fn parse(text: &str) -> Tree"),
        ("a.ts", "export const load = async (name: string) => {\n}", "export const load = async (name: string) =>"),
        ("a.java", "    public static void main(String[] args) {\n    }", "public static void main(String[] args)"),
        ("a.c", "static int add(int a, int b)\n{\n}", "static int add(int a, int b)"),
        ("a.sql", "CREATE TABLE bees (\n  id int\n);", "CREATE TABLE bees"),
        ("a.sh", "build() {\n  make\n}", "build()"),
        ("a.toml", "[tool.ruff]\nline-length = 120", "tool.ruff"),
        ("a.yaml", "services:\n  web: 1", "services"),
        ("a.json", '{\n  "agents": {\n    "a": 1\n  }\n}', "agents"),
        ("Makefile", "install: all\n\tcp a b", "install: all"),
    ],
)
def test_definitions_of_other_languages_are_headings(name: str, source: str, heading: str) -> None:
    (found,) = pieces(source, name)

    assert found.heading == heading
    assert found.text == source.strip("\n")


def test_a_packed_script_is_not_a_document() -> None:
    with pytest.raises(DocumentError, match="for machines"):
        read_document(b"var a=1;" * 5_000, "a.js")


# Notebooks, PDF, Word


def test_a_notebook_is_read_by_cell_under_the_headings_of_its_text() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Study\n", "\n", body()]},
        {"cell_type": "code", "source": "load()", "outputs": [{"text": "secret output"}]},
        {"cell_type": "markdown", "source": f"## Result\n\n{body()}"},
        {"cell_type": "code", "source": [f"plot(1)\n\n# {body()}"]},
    ]

    found = pieces(json.dumps({"cells": cells, "nbformat": 4}), "a.ipynb")

    assert [(piece.heading, piece.place) for piece in found] == [
        ("Study", "cells 1-2"),
        ("Study > Result", "cells 3-4"),
    ]
    assert "secret output" not in "".join(piece.text for piece in found)


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', '{"cells": [1]}'])
def test_a_damaged_notebook_says_so(text: str) -> None:
    with pytest.raises(DocumentError, match="damaged or not what its name says"):
        read_document(text.encode(), "a.ipynb")


def test_a_pdf_is_read_by_page() -> None:
    found = pieces(pdf_bytes([f"Queens lay eggs. {body(12)}", f"Drones do not. {body(12)}"]), "a.pdf")

    assert [(piece.place, piece.text[:6]) for piece in found] == [("page 1", "Queens"), ("page 2", "Drones")]


def test_bookmarks_are_the_headings_of_a_pdf_where_their_titles_stand() -> None:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf_bytes([f"Preface. {body(12)}", "1 Bees", f"{body(12)}"])))
    chapter = writer.add_outline_item(title="Bees", page_number=1)
    writer.add_outline_item(title="A title in a picture", page_number=1, parent=chapter)
    out = io.BytesIO()
    writer.write(out)

    document = read_document(out.getvalue(), "a.pdf")

    assert [section.heading for section in document.sections] == [(), ("Bees",), ("Bees", "A title in a picture")]
    assert document.sections[1].blocks[0].text == "1 Bees"
    assert document.sections[2].blocks[0].first == 3


def test_a_pdf_with_a_password_says_what_to_do() -> None:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf_bytes(["secret"])))
    writer.encrypt("key", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)

    with pytest.raises(DocumentError, match="needs a password; save a copy without one"):
        read_document(out.getvalue(), "a.pdf")


def test_a_pdf_without_text_says_what_to_do() -> None:
    with pytest.raises(DocumentError, match="text recognition"):
        read_document(pdf_bytes([""]), "a.pdf")


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7\n", b"not a pdf", pdf_bytes(["x"])[:200]])
def test_a_damaged_pdf_says_so_and_prints_nothing(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DocumentError):
        read_document(data, "a.pdf")

    assert capfd.readouterr() == ("", "")


def test_word_is_read_by_paragraph_under_its_headings() -> None:
    written = docx.Document()
    written.add_heading("Bees", 0)
    written.add_paragraph(body())
    written.add_heading("Queens", 1)
    written.add_paragraph("They lay eggs.", style="List Bullet")
    table = written.add_table(rows=1, cols=2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Eggs", "2000"
    written.add_paragraph(body())
    out = io.BytesIO()
    written.save(out)

    found = pieces(out.getvalue(), "a.docx")

    assert [(piece.heading, piece.place) for piece in found] == [
        ("Bees", "paragraph 2"),
        ("Bees > Queens", "paragraphs 4-6"),
    ]
    assert "- They lay eggs.\n\nEggs | 2000" in found[1].text


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 broken", b"\xd0\xcf\x11\xe0 an old .doc"])
def test_what_is_no_word_file_says_so(data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"\.docx"):
        read_document(data, "a.docx")


# Encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_text_is_decoded_by_its_marks_or_its_looks(encoding: str) -> None:
    (found,) = pieces("Größe und Maß".encode(encoding), "a.txt")

    assert found.text == "Größe und Maß"


@pytest.mark.parametrize("data", [b"\x7fELF\0\0\0", "Привет, как дела".encode("cp1251"), bytes(range(128, 256))])
def test_what_is_not_text_is_refused_with_the_reason(data: bytes) -> None:
    with pytest.raises(DocumentError, match="binary"):
        read_document(data, "a.txt")


def test_lines_are_counted_as_editors_count_them() -> None:
    source = f"x = 1\r\n\f\r\ndef fly():\r\n    {'pass; ' * 80}\r\n"

    assert [(piece.heading, piece.place) for piece in pieces(source, "a.py")] == [("def fly", "lines 1-4")]


def test_what_cannot_be_stored_is_taken_out() -> None:
    cells = [{"cell_type": "markdown", "source": "# A \ud800\n\nlone \udfff surrogate and nul\0"}]

    (found,) = pieces(json.dumps({"cells": cells}), "a.ipynb")

    assert (found.heading, found.text) == ("A ?", "lone ? surrogate and nul")


# Size of passages


@settings(deadline=None)
@given(
    st.text(st.sampled_from("ab .\n#=-`{}()é日"), max_size=4_000),
    st.sampled_from(["md", "rst", "txt", "py", "html", "js", "yaml"]),
)
def test_no_text_makes_a_passage_over_the_largest_or_an_empty_one(text: str, suffix: str) -> None:
    for piece in pieces(text, f"a.{suffix}"):
        assert 0 < len(piece.text) <= LARGEST + 100  # with the heading of a small section on top
        assert piece.text.strip()
        assert piece.place.startswith("line")


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from("ab. \n"), min_size=1, max_size=700), max_size=12))
def test_cutting_loses_no_text(paragraphs: list[str]) -> None:
    text = "\n\n".join(paragraphs)
    assume(not any(line.strip() and not line.strip(". ") for line in text.splitlines()))  # dots underline a heading

    assert "".join("".join(piece.text.split()) for piece in pieces(text, "a.txt")) == "".join(text.split())


def test_a_file_of_one_endless_line_is_cut_in_time_that_grows_with_its_length() -> None:
    assert len(pieces("x" * 3_000_000, "a.txt")) == 2_500
    assert pieces("#" + " " * 100_000 + "x", "a.md")


def test_one_endless_line_is_cut_at_sentences() -> None:
    found = pieces("The queen lays about two thousand eggs a day. " * 100, "a.txt")

    assert all(piece.text.startswith("The queen") for piece in found)
    assert all(400 <= len(piece.text) <= LARGEST for piece in found)


# Which files are documents


def test_hidden_files_environments_and_binaries_are_passed_over_in_silence(tmp_path: Path) -> None:
    for name in (
        ".git/a.md",
        "node_modules/a.js",
        "__pycache__/a.txt",
        "env/pyvenv.cfg",
        "env/a.md",
        ".env",
        "a.png",
        "x.min.js",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    (tmp_path / "b.md").write_text("x")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "z.md").write_text("x")

    assert [found.source for found in find_documents(tmp_path)] == ["b.md", "a/z.md"]


def test_what_has_to_be_left_out_is_named_with_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (tmp_path / "outside.md").write_text("x")
    (folder / "real.md").write_text("x")
    (folder / "inside.md").symlink_to("real.md")
    (folder / "escape.md").symlink_to("../outside.md")
    (folder / "loop").symlink_to(".")
    (folder / "round.md").symlink_to("round.md")
    (folder / "sheet.xlsx").write_bytes(b"PK")
    os.truncate(os.open(folder / "huge.txt", os.O_CREAT | os.O_WRONLY), LARGEST_FILE + 1)
    os.mkfifo(folder / "pipe.txt")

    found = {item.source: item.reason for item in find_documents(folder) if isinstance(item, Skipped)}

    assert found == {
        "escape.md": "is a symbolic link that leads out of the folder; copy what it leads to if it should be read",
        "huge.txt": "has 20 MB, more than 20 MB",
        "inside.md": "is a symbolic link to another place in the folder; what it leads to is read there",
        "loop": "is a symbolic link to another place in the folder; what it leads to is read there",
        "pipe.txt": "is not a regular file",
        "round.md": "is a symbolic link that leads nowhere or in a circle",
        "sheet.xlsx": "there is no reader for .xlsx files; save it as .pdf, .docx, .html or text",
    }
    assert [item.source for item in find_documents(folder) if isinstance(item, File)] == ["real.md"]


def test_a_name_that_is_not_utf_8_can_be_shown_and_stored(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.md")).write_text("x")

    (found,) = find_documents(tmp_path)

    assert found.source.encode() == rb"caf\udce9.md"


def test_a_socket_is_not_opened(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.txt"))
        (found,) = find_documents(tmp_path)

    assert found == Skipped("s.txt", "is not a regular file")
