"""A team file as a thread notes it: by its path, and by the digest of what it says."""

from __future__ import annotations

from orchestra.teamfile.building import build_team
from orchestra.teamfile.reading import read_team
from state.errors import ConfigurationError, GraphChanged, TeamFileError
from state.graph import PatternBuilder


def build_noted(path: str, digest: str, *, thread: str = "", model: str = "") -> PatternBuilder:
    """Return the uncompiled graph of the file that a thread was started with.

    Args:
        path: The file, absolute.
        digest: Of what it said then. Comments, and how it is written, make no difference.
        thread: Id of a thread in the middle of its work, which goes on with nothing else; empty for one that has ended.
        model: That the run was given in place of those of its files; empty where it was given none.

    Raises:
        GraphChanged: The file is gone, cannot be used any more, or says something else while the thread is not done.
        ConfigurationError: A tool of it cannot be had.
    """
    whose = f"thread {thread!r} was" if thread else "the thread was"
    try:
        team = read_team(path)
    except ConfigurationError as error:
        what = "cannot be used any more" if isinstance(error, TeamFileError) else "is gone"
        remedy = f"put it back, then try again ({error})"
        raise GraphChanged(f"team file {path!r}, which {whose} started with, {what}; {remedy}", thread=thread) from None
    if thread and team.source.digest != digest:
        remedy = "put back what it said and try again, or start a new thread with `orchestra run`"
        raise GraphChanged(f"team file {path!r} is not what {whose} started with; {remedy}", thread=thread)
    return build_team(team, model=model)
