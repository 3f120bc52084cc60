"""What is a secret: values of the environment, values of a run's context, and texts shaped like one.

Secrets live in the environment and in `Context.secrets`, nowhere else. A tool reads one by its name, when it needs it:

    @needs("network")
    def customer(number: int) -> str:
        \"\"\"Look a customer up.\"\"\"
        return crm(number, token=secret("crm"))

So it is in no argument, no message and no database. What gets there nevertheless is taken out; see `state.redaction`.
"""

from __future__ import annotations

import json
import os
import re
import weakref
from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import quote, quote_plus

from state.errors import ConfigurationError

SHORTEST = 8
"""Characters of the shortest value that is a secret: of a shorter one too much else would have to be taken out."""

_NAMES = re.compile(
    r"SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|TOKEN(?!I)|APIKEY|(?:^|_)(?:KEYS?|PASS|PWD|AUTH|DSN|PAT)(?:_|\d|$)",
    re.IGNORECASE,
)
"""Names of environment variables that hold secrets."""
_PLACES = re.compile(r"(?:^|_)(?:UR[LI]|DSN|DATABASE|CONNECTION)(?:_|$)|CONNECTION_STRING", re.IGNORECASE)
"""Names of those that hold the address of a server, with a password in it."""
_PASSWORD = re.compile(r"://[^\s/@:]*:([^\s@]+)@|(?:^|[\s;?&])password=([^\s;&]+)", re.IGNORECASE)
_WORDS = frozenset(
    {"changeme", "disabled", "required", "optional", "password", "passwort", "undefined", "not-needed", "no-key-needed"}
    | {"placeholder", "dummy-key", "localhost", "keychain", "keyring", "production", "development"}
    | {"messages", "outcomes", "thread_id", "structured"}
)
"""Values that mean nothing, or something else."""
_PLAIN = re.compile(r"[A-Za-z]:\\.*|\d{1,11}|\$\{?\w+\}?", re.DOTALL)
"""Values that are short numbers or references, or paths of Windows."""
_PATH = re.compile(r"[./~][^\s]*/[^\s]*")
"""Values that are paths, or keys that look like one: base64 has slashes."""
_NEVER_A_PATH = re.compile(r"(?:SECRET|PASSWORD|PASSWD|PASSPHRASE|TOKEN)(?!.*_(?:FILE|PATH|DIR|HOME)$)", re.IGNORECASE)
"""Names of variables whose value is a path only where there is such a file."""
_WORD = re.compile(r"[A-Za-z_.-]{1,19}")
"""A value without a digit: of a variable named KEY it is the name of something."""


@dataclass(frozen=True)
class Shape:
    """A text that is a secret by its looks.

    Args:
        hints: One of them is in every such text. Looked for first: most texts have none.
        pattern: Matches it; its group `s`, where it has one, is the secret in what it matches. Linear in the text.
        probe: Finds what may be one in bytes, where what stands before a text is not a part of it.
    """

    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    probe: re.Pattern[bytes]
    bytes_hints: tuple[bytes, ...]


def _shape(hints: str, pattern: str, probe: str = "") -> Shape:
    told = tuple(hints.split("|"))
    return Shape(
        told, re.compile(pattern), re.compile((probe or pattern).encode()), tuple(hint.encode() for hint in told)
    )


_B64 = r"(?:(?:\s|\\[nrt]){1,4}[A-Za-z0-9+/=]{16,})"
_PEM = r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
SHAPES = (
    # A key has a digit among its first characters; a word with hyphens has none.
    _shape("sk-", r"(?<![A-Za-z0-9])sk-(?=[A-Za-z_-]{0,60}\d)[A-Za-z0-9_-]{20,}", r"sk-[A-Za-z0-9_-]{20}"),
    _shape("sk_|rk_", r"(?<![A-Za-z0-9])[sr]k_(?:live|test)_[A-Za-z0-9]{16,}", r"[sr]k_(?:live|test)_[A-Za-z0-9]{16}"),
    _shape("ghp_|gho_|ghu_|ghs_|ghr_", r"gh[pousr]_[A-Za-z0-9]{30,}", r"gh[pousr]_[A-Za-z0-9]{30}"),
    _shape("github_pat_", r"github_pat_[A-Za-z0-9_]{30,}", r"github_pat_[A-Za-z0-9_]{30}"),
    _shape("glpat-", r"glpat-[A-Za-z0-9_-]{20,}", r"glpat-[A-Za-z0-9_-]{20}"),
    _shape("xox|xapp-", r"(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,}", r"(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10}"),
    _shape("AKIA|ASIA", r"(?<![A-Z0-9])A[KS]IA[A-Z0-9]{16}(?![A-Z0-9])", r"A[KS]IA[A-Z0-9]{16}"),
    _shape("AIza", r"AIza[A-Za-z0-9_-]{35}"),
    _shape("ya29.", r"ya29\.[A-Za-z0-9_-]{20,}", r"ya29\.[A-Za-z0-9_-]{20}"),
    _shape("npm_|hf_", r"(?<![A-Za-z0-9])(?:npm|hf)_[A-Za-z0-9]{30,}", r"(?:npm|hf)_[A-Za-z0-9]{30}"),
    _shape("gsk_|lsv2_", r"(?<![A-Za-z0-9])(?:gsk|lsv2)_[A-Za-z0-9_]{30,}", r"(?:gsk|lsv2)_[A-Za-z0-9_]{30}"),
    _shape("eyJ", r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", r"eyJ[A-Za-z0-9_-]{8}"),
    _shape(
        "earer |EARER ",
        r"(?i:bearer) {1,4}(?=[A-Za-z._~+/=-]{0,200}\d)(?P<s>[A-Za-z0-9._~+/=-]{16,})",
        r"(?i:bearer) {1,4}[A-Za-z0-9._~+/=-]{16}",
    ),
    _shape(
        "asic |ASIC ",
        r"(?i:authorization)[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?i:basic) {1,4}(?P<s>[A-Za-z0-9+/=_-]{8,})",
        r"(?i:authorization).{0,12}(?i:basic) {1,4}[A-Za-z0-9+/=_-]{8}",
    ),
    _shape("PRIVATE KEY", rf"{_PEM}(?:(?:[^-]|-(?!----))*-----END [A-Z0-9 ]{{0,40}}KEY(?: BLOCK)?-----|{_B64}+)", _PEM),
    _shape(
        "://",
        r"://[^\s/@:\"'<>\\]{0,256}:(?!\*+@)(?P<s>[^\s/@\"'<>\\]{1,256})@",
        r"://[^\s/@:\"'<>\\]{0,256}:[^\s/@\"'<>\\]{1,256}@",
    ),
    _shape(
        "assword=|ASSWORD=|asswd=|oken=|OKEN=|ecret=|ey=|EY=|ignature=",
        r"[?&](?i:password|passwd|api_?key|(?:access_|auth_|id_|refresh_)?token|(?:client_)?secret|key|"
        r"x-amz-signature|signature)=(?P<s>[^\s&#\"'<>\\]{8,})",
        r"[?&][A-Za-z_-]{3,16}=[^\s&#\"'<>\\]{8}",
    ),
)

# Most texts hold none, and looking for every hint takes three times as long: these look for signs that are rare in texts.
_SIGNS = (
    r"-(?:(?<=sk-)|(?<=glpat-)|(?<=xapp-)|(?<=xox[abeoprs]-))",
    r"_(?:(?<=[sr]k_)|(?<=gh[pousr]_)|(?<=_pat_)|(?<=npm_)|(?<=hf_)|(?<=lsv2_))",
    r"=(?:(?<=word=)|(?<=WORD=)|(?<=swd=)|(?<=oken=)|(?<=OKEN=)|(?<=cret=)|(?<=ey=)|(?<=EY=)|(?<=ture=))",
    r"J(?<=eyJ)",
    r"I(?<=A[KS]I)",
)
_NEEDLES = ("://", "PRIVATE KEY", "earer ", "EARER ", "asic ", "AIza", "ya29.")
_SIGNS_IN_TEXT = tuple(re.compile(sign).search for sign in _SIGNS)
_SIGNS_IN_BYTES = tuple(re.compile(sign.encode()).search for sign in _SIGNS)
_NEEDLES_IN_BYTES = tuple(needle.encode() for needle in _NEEDLES)


def may_be_shaped(text: str) -> bool:
    """Whether a text may hold one of `SHAPES`; quick, and never wrong when it says no."""
    for search in _SIGNS_IN_TEXT:
        if search(text):
            return True
    for needle in _NEEDLES:  # noqa: SIM110  # a generator takes longer than all that it looks at
        if needle in text:
            return True
    return False


def may_hold_shaped(blob: bytes) -> bool:
    """Whether bytes may hold one of `SHAPES`."""
    for search in _SIGNS_IN_BYTES:
        if search(blob):
            return True
    for needle in _NEEDLES_IN_BYTES:  # noqa: SIM110  # likewise
        if needle in blob:
            return True
    return False


class Values:
    """Known secrets, ready to be looked for.

    Args:
        values: As they are. They are found as JSON and URLs write them, too.
    """

    def __init__(self, values: Iterable[str]) -> None:
        forms = {form for value in values for form in _forms(value)}
        self.texts: tuple[str, ...] = tuple(sorted(forms, key=len, reverse=True))  # what contains another goes first
        self.blobs: tuple[bytes, ...] = tuple(text.encode("utf-8", "surrogateescape") for text in self.texts)


def protect(owner: object, values: Collection[str]) -> None:
    """Take values for secrets in the whole process, as long as `owner` lives and a good while after."""
    if values:
        with _lock:
            _held.update(values)
        weakref.finalize(owner, _released.append, tuple(values)).atexit = False


def known() -> Values:
    """Return the secrets of this moment: of the environment, and of all contexts there are."""
    global _cached
    environment: Any = getattr(os.environ, "_data", None)  # its own dict: compared a hundred times faster
    if environment is None:
        environment = dict(os.environ)
    seen, values, version = _cached
    if _released or version != len(_held) or seen != environment:
        with _lock:
            _settle()
            values = Values({*_in_environment(os.environ), *_held, *_late})
            _cached = dict(environment), values, len(_held)
    return values


def secret(name: str) -> str:
    """Return a secret by its name: of the run's `Context.secrets`, else of the environment.

    For tools and other code that a run calls. What it gives is not to be returned, logged or put into a message.

    Raises:
        ConfigurationError: There is none of that name.
    """
    from langchain_core.runnables.config import var_child_runnable_config

    from state.run import run_of

    run = run_of(var_child_runnable_config.get())
    given: Mapping[str, str] = run.context.secrets if run is not None else {}
    if name in given:
        return given[name]
    if value := os.environ.get(name):
        return value
    raise ConfigurationError(
        f"secret: expected one of {sorted(given)} or the name of an environment variable, got {name!r}; "
        "give it with Context(secrets={...})"
    )


def _in_environment(environment: Mapping[str, str]) -> set[str]:
    """Return the values that are secrets by the names of their variables, and passwords in addresses."""
    found = set[str]()
    for name, value in environment.items():
        if _PLACES.search(name) or "://" in value:
            passwords = {part for match in _PASSWORD.finditer(value) for part in match.groups() if part}
            found |= {each for each in passwords if len(each) >= SHORTEST and each.lower() not in _WORDS}
        if _NAMES.search(name) and "://" not in value and _is_secret(name, value.strip()):
            found.add(value.strip())
    return found


def _is_secret(name: str, value: str) -> bool:
    if len(value) < SHORTEST or value.lower() in _WORDS or _PLAIN.fullmatch(value):
        return False
    if _PATH.fullmatch(value) and not (_NEVER_A_PATH.search(name) and not os.path.exists(os.path.expanduser(value))):
        return False
    return not (re.search(r"(?:^|_)KEYS?(?:_|$)", name, re.IGNORECASE) and _WORD.fullmatch(value))


def _forms(value: str) -> set[str]:
    """Return a value as it may stand in texts: as it is, within JSON, within JSON that is ASCII, within a URL.

    Without the space around it, too: what was read from a file ends with a line break, and is used without.
    """
    found = set[str]()
    for text in {value, value.strip()}:
        url = text.encode("utf-8", "surrogateescape")
        found |= {text, json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1], repr(text)[1:-1]}
        found |= {quote(url, safe=""), quote(url), quote_plus(url)}
    return {form for form in found if len(form) >= SHORTEST}


def _settle() -> None:
    """Let go of what nobody holds any more, but for the latest: something about it may still be said."""
    while _released:
        for value in _released.popleft():
            _held[value] -= 1
            if _held[value] <= 0:
                del _held[value]
                _late[value] = None
    while len(_late) > _MOST_LATE:
        _late.popitem(last=False)


_MOST_LATE = 256
_lock = Lock()
_held: Counter[str] = Counter()
_late: OrderedDict[str, None] = OrderedDict()
# Only appended to by finalizers, which run anywhere, also where the lock is held.
_released: deque[tuple[str, ...]] = deque()
_cached: tuple[dict[Any, Any], Values, int] = {}, Values(()), -1
