"""What can go wrong between us and a server of tools, and what is known then of the call that was made."""

from __future__ import annotations

from langchain_core.tools import ToolException

from state.errors import OrchestraError


class ToolServerError(OrchestraError):
    """A server of tools is gone, silent, or does not speak as it should. Of a call: whether it was carried out is unknown."""


class NothingSent(ToolServerError, ToolException):
    """The server could not be asked, or refused to: nothing was carried out, and a model may read why."""
