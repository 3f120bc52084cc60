"""Hands: what an agent may do to the world, and the right to do it. Imports `state`, and nothing else of Orchestra."""

from __future__ import annotations

from typing import TYPE_CHECKING

from state.lazily import exported

if TYPE_CHECKING:
    from tools.code import create_code_tools as create_code_tools
    from tools.colleagues import create_consult_tool as create_consult_tool
    from tools.colleagues import create_delegate_tool as create_delegate_tool
    from tools.colleagues import create_handoff_tool as create_handoff_tool
    from tools.corpora import corpus_of as corpus_of
    from tools.corpus import Corpus as Corpus
    from tools.corpus import open_corpus as open_corpus
    from tools.corpus_tools import create_corpus_tools as create_corpus_tools
    from tools.effects import cached as cached
    from tools.effects import effect as effect
    from tools.effects import effect_key as effect_key
    from tools.effects import once as once
    from tools.effects import requires_approval as requires_approval
    from tools.files import create_file_tools as create_file_tools
    from tools.mcp.client import open_mcp as open_mcp
    from tools.mcp.failure import ToolServerError as ToolServerError
    from tools.mcp.servers import HttpServer as HttpServer
    from tools.mcp.servers import StdioServer as StdioServer
    from tools.passage import Passage as Passage
    from tools.passage import cited_ids as cited_ids
    from tools.passage import parse_passages as parse_passages
    from tools.passage import render_passages as render_passages
    from tools.patterns import create_pattern_tool as create_pattern_tool
    from tools.retrieval.index import DocumentEntry as DocumentEntry
    from tools.retrieval.updating import Report as Report
    from tools.rights import needs as needs
    from tools.rights import trusted as trusted
    from tools.sandbox import Limits as Limits
    from tools.sql import create_sql_tools as create_sql_tools
    from tools.sql import create_sql_write_tool as create_sql_write_tool
    from tools.web import create_fetch_tool as create_fetch_tool

_HOME = {
    "cached": "effects",
    "effect": "effects",
    "effect_key": "effects",
    "needs": "rights",
    "once": "effects",
    "requires_approval": "effects",
    "Corpus": "corpus",
    "DocumentEntry": "retrieval.index",
    "HttpServer": "mcp.servers",
    "Passage": "passage",
    "Report": "retrieval.updating",
    "StdioServer": "mcp.servers",
    "ToolServerError": "mcp.failure",
    "cited_ids": "passage",
    "corpus_of": "corpora",
    "create_consult_tool": "colleagues",
    "Limits": "sandbox",
    "create_sql_write_tool": "sql",
    "create_sql_tools": "sql",
    "create_pattern_tool": "patterns",
    "create_file_tools": "files",
    "create_fetch_tool": "web",
    "create_code_tools": "code",
    "create_corpus_tools": "corpus_tools",
    "create_delegate_tool": "colleagues",
    "create_handoff_tool": "colleagues",
    "open_corpus": "corpus",
    "open_mcp": "mcp.client",
    "parse_passages": "passage",
    "render_passages": "passage",
    "trusted": "rights",
}

__getattr__, __dir__ = exported(__name__, _HOME)
