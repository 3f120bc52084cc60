"""Hands: what an agent may do to the world, and the right to do it. Imports `state`, and nothing else of Orchestra."""

from __future__ import annotations

from typing import TYPE_CHECKING

from state.lazily import exported

if TYPE_CHECKING:
    from tools.colleagues import create_consult_tool as create_consult_tool
    from tools.colleagues import create_delegate_tool as create_delegate_tool
    from tools.colleagues import create_handoff_tool as create_handoff_tool
    from tools.corpora import corpus_of as corpus_of
    from tools.corpus import Corpus as Corpus
    from tools.corpus import open_corpus as open_corpus
    from tools.corpus_tools import create_corpus_tools as create_corpus_tools
    from tools.passage import Passage as Passage
    from tools.passage import cited_ids as cited_ids
    from tools.passage import parse_passages as parse_passages
    from tools.passage import render_passages as render_passages
    from tools.retrieval.index import DocumentEntry as DocumentEntry
    from tools.retrieval.updating import Report as Report

_HOME = {
    "Corpus": "corpus",
    "DocumentEntry": "retrieval.index",
    "Passage": "passage",
    "Report": "retrieval.updating",
    "cited_ids": "passage",
    "corpus_of": "corpora",
    "create_consult_tool": "colleagues",
    "create_corpus_tools": "corpus_tools",
    "create_delegate_tool": "colleagues",
    "create_handoff_tool": "colleagues",
    "open_corpus": "corpus",
    "parse_passages": "passage",
    "render_passages": "passage",
}

__getattr__, __dir__ = exported(__name__, _HOME)
