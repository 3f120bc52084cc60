"""Every exception that Orchestra raises on purpose, as one tree.

    OrchestraError
    ├── ConfigurationError (also a ValueError)   wrong arguments; raised before anything runs
    │   ├── PlanError                            a plan that is not a valid DAG
    │   ├── ModelError                           a model that cannot be loaded: not installed, no key, unknown name
    │   └── TeamFileError                        a team file that cannot be used; carries path and problems by line
    ├── DocumentError                            a folder or a file of documents that cannot be used
    ├── PersistenceError                         storage under a run; carries location, thread, remedy
    │   ├── StorageUnavailable                   missing, locked, full, read-only, unreachable
    │   ├── StorageCorrupt                       damaged or emptied
    │   └── StorageForeign                       a database of something else, or of a newer version
    ├── ThreadError                              what was asked of a thread is not possible; carries thread
    │   ├── InvalidThreadId                      not a non-empty string
    │   ├── UnknownThread                        no such thread
    │   ├── ThreadExists                         a new thread was to have a name that is taken
    │   ├── UnknownCheckpoint                    no such checkpoint in the thread, or several
    │   ├── UnknownRequest                       no open request with that id: late, answered twice, or mistyped
    │   │   └── RequestExpired                   its time ran out, and something else was decided
    │   ├── InvalidAnswer                        the decision does not fit the request; the request stays open
    │   ├── ThreadBusy                           another run holds the thread
    │   ├── Halted                               it was asked to stop, and did at a boundary; it can be resumed
    │   └── GraphChanged                         the graph no longer has the node that the thread waits in
    ├── BudgetExceeded                           a limit would be passed; nothing was spent
    ├── LoopDetected                             an agent did the same again and again
    ├── LoopBlocked                              code of an agent kept the event loop from all others
    ├── NoAnswer                                 a person was not there, or did not answer in time
    ├── CircuitOpen                              a model or tool that failed too often in a row is left alone for now
    ├── GrantRefused                             what one agent let another do does not hold; carries reason and grant
    ├── OutputError                              a model answered, and the answer cannot be used
    │   ├── EmptyOutput                          no text, no tool call
    │   ├── RefusedOutput                        the model declined
    │   ├── CutOutput                            ended at the token limit
    │   ├── FilteredOutput                       withheld by the provider's content filter
    │   ├── UnparsableOutput                     tool call or JSON that does not parse
    │   └── WrongShape                           parsed, but not the shape that was asked for
    └── ScriptError                              a ScriptedChatModel was called too often, or left steps unused

What a later node can act on is an `Outcome` with `error.type` set to one of these names; the rest raises. What is said of a
thread is also a ValueError or a RuntimeError where a client has to read it: of others a LangGraph server tells the name alone.
"""

from __future__ import annotations

from typing import Literal


class OrchestraError(Exception):
    """Root of the tree: catch this to catch everything Orchestra raises on purpose."""


class ConfigurationError(OrchestraError, ValueError):
    """Wrong arguments. Raised before anything runs."""


class PlanError(ConfigurationError):
    """A plan that is not a valid DAG of subtasks."""


class ModelError(ConfigurationError):
    """A model that cannot be loaded; the message says what to install or set."""


class TeamFileError(ConfigurationError):
    """A team file that cannot be used.

    Args:
        path: The file.
        problems: Line, column and what is wrong there, in the order of the file.
    """

    def __init__(self, path: str, problems: list[tuple[int, int, str]]) -> None:
        self.path, self.problems = path, tuple(problems)
        super().__init__("\n".join(f"{path}:{line}:{column}: {text}" for line, column, text in problems))

    def listed(self) -> str:
        """Return the problems for a person: how many, then each in a line of its own."""
        count = len(self.problems)
        return str(self) if count == 1 else f"the team file has {count} problems\n{self}"


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


class ThreadExists(ThreadError):
    """A new thread was to have a name that is taken. That thread was left as it is."""

    def __init__(self, thread: str, location: str) -> None:
        text = f"there is a thread {thread!r} in {location} already; choose another name, or delete it first"
        super().__init__(text, thread=thread)


class UnknownCheckpoint(ThreadError):
    """No checkpoint of the thread is meant, or more than one."""


class UnknownRequest(ThreadError, ValueError):
    """No open request with that id: late, answered already, or mistyped."""


class RequestExpired(UnknownRequest):
    """A request whose time ran out before it was answered. What was decided instead is in the message."""


class InvalidAnswer(ThreadError, ValueError):
    """A decision that does not fit its request. The request stays open."""


class ThreadBusy(ThreadError, RuntimeError):
    """Another run holds the thread."""


class Halted(ThreadError, RuntimeError):
    """The run was asked to stop, and did at a boundary. Everything is kept, and it can be resumed."""

    def __init__(self, message: str, *, thread: object = None, reason: str = "") -> None:
        self.reason = reason
        super().__init__(message, thread=thread)


class GraphChanged(ThreadError, RuntimeError):
    """The graph no longer has the node that the thread waits in."""


class BudgetExceeded(OrchestraError):
    """A limit would be passed. Nothing was spent on the refused call.

    Args:
        limit: Which limit: `model_calls`, `tool_calls`, `tokens`, `seconds` or `usd`.
        cap: The limit's value.
        spent: What was spent or reserved when the call was refused.
        owner: Whose budget: an agent's name or the run.
        needed: What the refused call needs at least, where that is more than one.
    """

    def __init__(self, limit: str, *, cap: float, spent: float, owner: str, needed: float = 0.0) -> None:
        self.limit, self.cap, self.spent, self.owner, self.needed = limit, cap, spent, owner, needed
        asked = f", and the next call needs {needed:.4g}" if needed else ""
        super().__init__(f"budget of {owner} reached: {limit} {spent:g} of {cap:g}{asked}")


class LoopDetected(OrchestraError):
    """An agent did the same again and again. It was stopped with the best it had."""


class LoopBlocked(OrchestraError):
    """Code of an agent kept the event loop from all others, and was left behind."""


class NoAnswer(OrchestraError):
    """A person was not there, or did not answer in time."""


class CircuitOpen(OrchestraError):
    """A model or tool that failed too often in a row is left alone for now. It was not called."""


Refusal = Literal["forged", "widened", "replayed", "expired", "revoked", "wrong_holder", "too_deep"]
"""Why a grant is refused."""


class GrantRefused(OrchestraError):
    """A grant that is forged, too wide, used up, too old, revoked, or somebody else's. Nothing was done.

    Args:
        reason: Which of these.
        message: What was expected, and what was got.
        grant: Id of the grant, where it can be believed.
    """

    def __init__(self, reason: Refusal, message: str, *, grant: str = "") -> None:
        self.reason, self.grant = reason, grant
        super().__init__(f"{message} ({reason})")


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
