"""Plain text, and any text whose headings one regular expression can find: source code, data, TeX, AsciiDoc."""

from __future__ import annotations

import re

from tools.readers.markdown import read_markdown
from tools.readers.outline import Outline
from tools.readers.restructured import looks_restructured, read_restructured
from tools.readers.section import Document

_MARKDOWN = re.compile(r"^#{1,4} \S", re.MULTILINE)
_LONGEST_HEADING = 100

_BRACES = (
    r"(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|unsafe|pub(?:\([^)]*\))?|const"
    r"|inline|extern|virtual|override|sealed|partial|open|data|declare)\s+)*"
    r"(?:class|struct|enum|union|interface|trait|impl|type|typedef|namespace|module|mod|record|object|protocol|extension"
    r"|function\*?|func|fun|fn|def|macro_rules!|contract|service|message|rpc)\s+[^;]*$"
)
_ARROW = (
    r"(?:export\s+)?(?:const|let|var)\s+\w+\s*(?::[^=]+)?=\s*(?:async\s*)?(?:function\b|\([^)]*\)[^=]*=>|\w+\s*=>).*"
)
_C_FUNCTION = r"[A-Za-z_][\w\s*&:<>,~]*\b[A-Za-z_~][\w:~]*\s*\([^;]*$"
_C = rf"{_BRACES}|(?!(?:if|else|for|while|switch|return|do|case)\b){_C_FUNCTION}"
_JAVA_METHOD = (
    r"(?:(?:public|private|protected|static|final|abstract|synchronized|native|async|override)\s+)+[^;=]*\([^;]*$"
)
_SQL = r"(?i:(?:create|alter|drop)\s+(?:or\s+replace\s+)?\w+\s+.*|insert\s+into\s+\S+.*|-- name: .*)"

_HEADINGS = {
    "go": _BRACES,
    "rs": _BRACES,
    "js": rf"{_BRACES}|{_ARROW}",
    "c": _C,
    "java": rf"{_BRACES}|{_JAVA_METHOD}",
    "rb": r"(?:class|module|def)\s+\S.*",
    "sh": r"(?:function\s+\w.*|[\w-]+\s*\(\)\s*\{?.*)",
    "sql": _SQL,
    "toml": r"\[.+\].*",
    "yaml": r"[\w./\"'-][^#]*:(?:\s.*)?",
    "json": r'"[^"]+"\s*:\s*[\[{].*',
    "make": r"[\w./%-]+\s*:(?!=).*",
    "tex": r"\\(?:part|chapter|section|subsection|subsubsection)\*?\{.*",
    "adoc": r"={1,6}\s+\S.*",
    "org": r"\*{1,6}\s+\S.*",
}
_MARKS = {"tex", "adoc", "org"}  # Languages whose headings are markup, not part of the text.
_DEEPEST = {"yaml": 0, "toml": 0, "make": 0, "sql": 0, "json": 2, "c": 0}  # Widest indentation of a heading.
_PATTERNS = {language: re.compile(rf"(\s*)({pattern})$") for language, pattern in _HEADINGS.items()}

_SUFFIXES = {
    "js": "js jsx ts tsx mjs cjs mts cts vue svelte dart",
    "c": "c h cc cpp cxx hpp hxx hh m mm cu cuh pxd pyx pxi ino",
    "java": "java kt kts scala cs groovy gradle swift",
    "go": "go proto graphql zig",
    "rs": "rs sol",
    "rb": "rb ex exs lua jl cr",
    "sh": "sh bash zsh fish ps1",
    "sql": "sql",
    "toml": "toml ini cfg conf properties editorconfig",
    "yaml": "yaml yml",
    "json": "json jsonc json5",
    "make": "mk make",
    "tex": "tex latex sty",
    "adoc": "adoc asciidoc",
    "org": "org",
}
LANGUAGES = {suffix: language for language, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}


def read_text(text: str) -> Document:
    """Read plain text; one that is evidently Markdown or reStructuredText is read as that."""
    if len(_MARKDOWN.findall(text, 0, 50_000)) >= 2:
        return read_markdown(text)
    if looks_restructured(text):
        return read_restructured(text)
    outline = Outline()
    for number, line in enumerate(text.split("\n"), 1):
        outline.line(number, line)
    first = next((line.strip() for line in text[:2_000].split("\n") if line.strip()), "")
    return Document(first if len(first) <= _LONGEST_HEADING else "", "line", outline.sections())


def read_code(text: str, language: str) -> Document:
    """Read source code or data into sections by definition.

    Args:
        text: The file's text.
        language: A value of `LANGUAGES`.
    """
    pattern, deepest = _PATTERNS[language], _DEEPEST.get(language, 4)
    outline = Outline()
    for number, line in enumerate(text.split("\n"), 1):
        match = pattern.match(line) if len(line) < 400 else None
        indent = len(match[1].expandtabs(4)) if match else 0
        if match and indent <= deepest:
            level = _markup_level(match[2]) if language in _MARKS else indent
            outline.heading(level, _heading(match[2], language))
        outline.line(number, line)
    return Document(outline.title if language in _MARKS else "", "line", outline.sections())


def _heading(line: str, language: str) -> str:
    if language in _MARKS:
        return line.strip("=* ").partition("{")[2].rstrip("} ") or line.strip("=* ")
    if language in ("yaml", "json"):
        return line.partition(":")[0].strip(" \"'")
    return line.split("{")[0].strip(" [](:\\")[:_LONGEST_HEADING]


def _markup_level(line: str) -> int:
    if line.startswith("\\"):
        return ("part", "chapter", "section", "subsection", "subsubsection").index(re.split(r"[*{]", line[1:])[0])
    return len(line) - len(line.lstrip("=*"))
