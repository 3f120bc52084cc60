"""Toolsets: the ready tools that a team file names, with their settings. `PARTS` is the table of their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Secret = Annotated[str, StringConstraints(pattern=r"^\$\{[A-Za-z_][A-Za-z0-9_]*\}$")]
"""A value that is never in the file: the name of the environment variable that has it, as `${NAME}`."""

PARTS: Mapping[str, Mapping[str, str]] = {
    "corpus": {"search": "search_documents", "read": "read_passage", "list": "list_documents"},
    "files": {"list": "list_files", "read": "read_file", "find": "find_text", "write": "write_file"},
    "web": {"fetch": "fetch_page"},
    "sql": {"query": "query_database", "describe": "describe_database", "change": "change_database"},
    "code": {"python": "run_python", "shell": "run_shell"},
    "pattern": {"find": "find_pattern"},
}
"""Tools of each toolset: `files.read` in a file is the tool `read_file`. Those of an MCP server it tells itself."""

BARE = frozenset({"corpus", "web", "pattern"})
"""Toolsets that need no settings, so agents may name them without an entry under `tools`."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CorpusTools(_Settings):
    """Search and read documents: `search_documents`, `read_passage`, `list_documents`."""

    use: Literal["corpus"]
    folder: Text | None = Field(
        default=None, description="Folder of the documents, from that of this file; what the run is given by default."
    )


class FileTools(_Settings):
    """Files of one folder: `list_files`, `read_file`, `find_text` and, with `write`, `write_file`."""

    use: Literal["files"]
    folder: Text = Field(description="The folder, from that of this file. Nothing outside of it can be seen.")
    write: bool = Field(default=False, description="Whether files may be written.")
    hidden: bool = Field(default=False, description="Whether names that begin with a dot can be seen.")


class WebTools(_Settings):
    """Fetch pages of the public internet: `fetch_page`."""

    use: Literal["web"]
    allow_hosts: tuple[Text, ...] = Field(default=(), description="`host:port` that may be fetched though not public.")
    only_hosts: tuple[Text, ...] = Field(default=(), description="Nothing else may be fetched: `*.example.org`.")
    deny_hosts: tuple[Text, ...] = Field(default=(), description="Hosts that may not be fetched.")
    seconds: float | None = Field(default=None, gt=0, description="For one fetch, with all its redirects.")


class SqlTools(_Settings):
    """An SQLite file: `query_database`, `describe_database` and, with `changes`, `change_database`."""

    use: Literal["sql"]
    database: Text = Field(description="The SQLite file, from the folder of this one.")
    tables: tuple[Text, ...] | None = Field(default=None, description="Tables that can be read; all, when left out.")
    changes: tuple[Text, ...] = Field(default=(), description="Tables whose rows may be changed.")
    most_rows: int | None = Field(default=None, ge=1, description="Rows that are given at once.")
    seconds: float | None = Field(default=None, gt=0, description="For one statement.")


class CodeTools(_Settings):
    """Run code in a sandbox: `run_python`, `run_shell`."""

    use: Literal["code"]
    folder: Text = Field(description="The only folder that code can change, from that of this file.")
    image: Text | None = Field(default=None, description="Of a container, for where there is no bubblewrap.")
    seconds: float | None = Field(default=None, gt=0, description="For one run.")


class PatternTools(_Settings):
    """Regular expressions: `find_pattern`, in a text or in the files of a folder."""

    use: Literal["pattern"]
    folder: Text | None = Field(default=None, description="Folder of the files; without it a text is an argument.")
    hidden: bool = Field(default=False, description="Whether names that begin with a dot can be used.")


class McpTools(_Settings):
    """Tools of an MCP server: a program that is started, or an address. Needs the extra `mcp`."""

    use: Literal["mcp"]
    command: Text | None = Field(default=None, description="The program, by path or as it is found in PATH.")
    args: tuple[str, ...] = Field(default=(), description="What it is started with.")
    env: Mapping[str, Secret] = Field(
        default={}, description="Variables of its environment, each as `${NAME}`: values are not kept in the file."
    )
    cwd: Text | None = Field(default=None, description="The folder it is started in, from that of this file.")
    url: Text | None = Field(default=None, description="Of a server that runs already, as `https://example.org/mcp`.")
    headers: Mapping[str, Secret] = Field(
        default={}, description="Sent with every request, each as `${NAME}`: values are not kept in the file."
    )

    @model_validator(mode="after")
    def _is_one_of_both(self) -> McpTools:
        if (self.command is None) == (self.url is None):
            raise ValueError("expected exactly one of command and url")
        return self


Toolset = Annotated[
    CorpusTools | FileTools | WebTools | SqlTools | CodeTools | PatternTools | McpTools, Field(discriminator="use")
]
