"""Every exception that Orchestra raises on purpose, as one tree.

    OrchestraError
    ├── ConfigurationError (also a ValueError)   wrong arguments; raised before anything runs
    │   ├── PlanError                            a plan that is not a valid DAG
    │   └── ModelError                           a model that cannot be loaded: not installed, no key, unknown name
    ├── DocumentError                            a folder or a file of documents that cannot be used
    ├── PersistenceError                         storage under a run; carries location, thread, remedy
    │   ├── StorageUnavailable                   missing, locked, full, read-only, unreachable
    │   ├── StorageCorrupt                       damaged or emptied
    │   └── StorageForeign                       a database of something else, or of a newer version
    ├── ThreadError                              what was asked of a thread is not possible; carries thread
    │   ├── InvalidThreadId                      not a non-empty string
    │   ├── UnknownThread                        no such thread
    │   ├── UnknownRequest                       no open request with that id: late, answered twice, or mistyped
    │   ├── InvalidAnswer                        the decision does not fit the request; the request stays open
    │   ├── ThreadBusy                           another run holds the thread
    │   └── GraphChanged                         the graph no longer has the node that the thread waits in
    ├── BudgetExceeded                           a limit would be passed; nothing was spent
    ├── LoopDetected                             an agent did the same again and again
    ├── OutputError                              a model answered, and the answer cannot be used
    │   ├── EmptyOutput                          no text, no tool call
    │   ├── RefusedOutput                        the model declined
    │   ├── CutOutput                            ended at the token limit
    │   ├── FilteredOutput                       withheld by the provider's content filter
    │   ├── UnparsableOutput                     tool call or JSON that does not parse
    │   └── WrongShape                           parsed, but not the shape that was asked for
    └── ScriptError                              a ScriptedChatModel was called too often, or left steps unused

What a later node can act on is an `Outcome` with `error.type` set to one of these names; the rest raises.
"""

from __future__ import annotations


class OrchestraError(Exception):
    """Root of the tree: catch this to catch everything Orchestra raises on purpose."""


class ConfigurationError(OrchestraError, ValueError):
    """Wrong arguments. Raised before anything runs."""


class PlanError(ConfigurationError):
    """A plan that is not a valid DAG of subtasks."""


class ModelError(ConfigurationError):
    """A model that cannot be loaded; the message says what to install or set."""


class DocumentError(OrchestraError):
    """A folder or a file of documents that cannot be used."""


class PersistenceError(OrchestraError):
    """Storage under a run failed. The run stops; what was committed stays.

    Args:
        message: What happened.
        location: File or URL without password.
        thread: Thread that was being read or written, if one was.
        remedy: What the reader can do now.
    """

    def __init__(self, message: str, *, location: str = "", thread: str | None = None, remedy: str = "") -> None:
        self.message, self.location, self.thread, self.remedy = message, location, thread, remedy
        parts = [message]
        if location:
            parts.append(f"database {location!r}")
        if thread:
            parts.append(f"thread {thread!r}")
        text = ", ".join(parts)
        super().__init__(f"{text}. {remedy}" if remedy else text)


class StorageUnavailable(PersistenceError):
    """Storage that is missing, locked, full, read-only or unreachable."""


class StorageCorrupt(PersistenceError):
    """Storage that is damaged or was emptied."""


class StorageForeign(PersistenceError):
    """A database of something else, or of a newer Orchestra."""


class ThreadError(OrchestraError):
    """What was asked of a thread is not possible."""

    def __init__(self, message: str, *, thread: object = None) -> None:
        self.thread = thread
        super().__init__(message)


class InvalidThreadId(ThreadError, ValueError):
    """A thread id that is not a non-empty string."""


class UnknownThread(ThreadError):
    """No thread with that id in this database."""


class UnknownRequest(ThreadError):
    """No open request with that id: late, answered already, or mistyped."""


class InvalidAnswer(ThreadError, ValueError):
    """A decision that does not fit its request. The request stays open."""


class ThreadBusy(ThreadError):
    """Another run holds the thread."""


class GraphChanged(ThreadError):
    """The graph no longer has the node that the thread waits in."""


class BudgetExceeded(OrchestraError):
    """A limit would be passed. Nothing was spent on the refused call.

    Args:
        limit: Which limit: `model_calls`, `tool_calls`, `tokens`, `seconds` or `usd`.
        cap: The limit's value.
        spent: What was spent or reserved when the call was refused.
        owner: Whose budget: an agent's name or the run.
    """

    def __init__(self, limit: str, *, cap: float, spent: float, owner: str) -> None:
        self.limit, self.cap, self.spent, self.owner = limit, cap, spent, owner
        super().__init__(f"budget of {owner} reached: {limit} {spent:g} of {cap:g}")


class LoopDetected(OrchestraError):
    """An agent did the same again and again. It was stopped with the best it had."""


class OutputError(OrchestraError):
    """A model answered, and the answer cannot be used."""


class EmptyOutput(OutputError):
    """No text and no tool call."""


class RefusedOutput(OutputError):
    """The model declined to answer."""


class CutOutput(OutputError):
    """The answer ended at the token limit."""


class FilteredOutput(OutputError):
    """The provider's content filter withheld the answer."""


class UnparsableOutput(OutputError):
    """A tool call or a JSON answer that does not parse."""


class WrongShape(OutputError):
    """An answer that parses but is not the shape that was asked for."""


OUTPUT_ERRORS = frozenset(kind.__name__ for kind in OutputError.__subclasses__())
"""Names of the kinds of answers that cannot be used, as `error.type` of an outcome has them."""


class ScriptError(OrchestraError, AssertionError):
    """A ScriptedChatModel was called too often, or has steps left that nobody asked for."""
