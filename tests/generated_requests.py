"""Requests made up from a server's own description of itself: right ones, wrong ones, and ones that no client sends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID

STRANGE: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    2**64,
    10**400,
    1e308,
    -0.5,
    "",
    " ",
    "a",
    "0",
    "null",
    "\x00",
    "\ud800",
    "../../etc/passwd",
    "%00",
    "’“”",
    "\U0001f4a9",
    "' OR 1=1 --",
    "a" * 5000,
    "2020-99-99",
    "__proto__",
    "http://[",
    [],
    [[]],
    [None],
    {},
    {"": ""},
    {"a": {"a": {"a": []}}},
    {"$ref": "#"},
    {"lc": 1, "type": "constructor", "id": ["os"]},
)
STRANGE_BODIES = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"0",
    b'"',
    b"\x00",
    b"\xff\xfe{}",
    b'{"a": NaN}',
    b'{"a": 1e999}',
    b"[" * 20000,
    b"{}{}",
    b'{"a": "\\ud800"}',
    b'{"metadata": "\xe9"}',
    b"a=b&c=d",
    b"--x\r\n",
    b'{"' + b"k" * 70000 + b'": 1}',
    b"\xef\xbb\xbf{}",
)
STRANGE_HEADERS = (
    "content-type: text/plain",
    "content-type: multipart/form-data",
    "content-type: application/json; charset=utf-16",
    "accept: text/event-stream",
    "accept: \xff",
    "x-odd: \xe9\xff",
    "cookie: a=\x80",
    "last-event-id: \xff",
    "range: bytes=9-1",
    "last-event-id: -1",
    "last-event-id: x",
    "user-agent: ",
    "content-encoding: gzip",
    "expect: 100-continue",
    "x-a: " + "b" * 9000,
    "langsmith-trace: \xff",
    "langsmith-trace: x\r\nbaggage: langsmith-metadata=%7B",
    "x-auth-scheme: langsmith",
    "upgrade: h2c",
    "if-none-match: *",
    "accept-encoding: \xff",
    "x-http-method-override: DELETE",
    "x-request-id: \xe9",
    "mcp-session-id: \xff",
)
STRANGE_PATHS = (
    "/",
    "//",
    "/%",
    "/%zz",
    "/%ff%fe",
    "/threads/%00",
    "/threads/..%2f..%2fetc",
    "/" + "a" * 6000,
    "/threads/\xe9",
    "/*",
    "/a;b",
    "/.well-known/agent-card.json",
    "/.well-known/agent-card.json?assistant_id=%00",
    "/ui/single",
    "/ui/single/x.js",
    "/noauth/ok",
    "/ok?check_db=x",
    "/ok?check_db=1",
    "/metrics?format=x",
    "/info?\xff",
    "/internal/truncate",
    "/deploy",
    "/mcp",
    "/a2a/x/y",
)


class Request(NamedTuple):
    """One request as it goes over the wire, and where it goes, for people."""

    label: str
    method: str
    target: str
    headers: tuple[str, ...]
    body: bytes

    def wire(self, host: str, token: str) -> bytes:
        """Return the bytes to send."""
        lines = [f"{self.method} {self.target} HTTP/1.1", f"host: {host}", f"x-api-key: {token}", *self.headers]
        lines.append("connection: close")
        lines.append(f"content-length: {len(self.body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


class RequestMaker:
    """Makes up requests, the same ones for the same seed.

    Args:
        spec: The server's `/openapi.json`.
        names: Values that exist there, by the name of a field or parameter, such as `thread_id`.
        skip: Paths that are left alone.
        seed: Of everything that is chosen.
    """

    def __init__(
        self, spec: dict[str, Any], names: dict[str, Sequence[Any]], *, skip: Sequence[str] = (), seed: int = 0
    ) -> None:
        self.random, self.spec, self.names = Random(seed), spec, names
        self.operations = [
            (method, path, operation)
            for path, methods in spec["paths"].items()
            if path not in skip
            for method, operation in methods.items()
        ]

    def make(self) -> Request:
        """Return the next request."""
        chance = self.random.random
        if chance() < 0.04:
            target = self.random.choice(STRANGE_PATHS)
            method = self.random.choice(("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "QUERY", "X"))
            return Request(f"{method} {target[:60]}", method, _wired(target), (), b"")
        method, path, operation = self.random.choice(self.operations)
        target, query, headers = path, [], ["content-type: application/json"]
        for parameter in operation.get("parameters", []):
            name, where = parameter["name"], parameter["in"]
            if where == "path":
                target = target.replace("{" + name + "}", self._text(name, parameter.get("schema", {})))
            elif where == "query" and chance() < 0.5:
                query.append(f"{quote(name)}={self._text(name, parameter.get('schema', {}))}")
        if query:
            target += "?" + "&".join(query)
        if chance() < 0.2:
            headers = [*headers, self.random.choice(STRANGE_HEADERS)][self.random.random() < 0.3 :]
        body = self._body(operation)
        return Request(f"{method.upper()} {path}", method.upper(), target, tuple(headers), body)

    def _body(self, operation: dict[str, Any]) -> bytes:
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if self.random.random() < 0.08:
            return self.random.choice(STRANGE_BODIES)
        if content is None:
            return b""
        value = self._value(content.get("schema", {}), depth=0)
        if self.random.random() < 0.4:
            value = self._spoiled(value)
        return json.dumps(value).encode()

    def _text(self, name: str, schema: dict[str, Any]) -> str:
        value = self._strange() if self.random.random() < 0.3 else self._named(name) or self._value(schema, depth=0)
        text = value if isinstance(value, str) else json.dumps(value)
        return quote(text.encode("utf-8", "surrogatepass"), safe="") or "%20"

    def _named(self, name: str) -> Any:
        return self.random.choice(self.names[name]) if self.names.get(name) else None

    def _strange(self) -> Any:
        return self.random.choice(STRANGE)

    def _spoiled(self, value: Any) -> Any:
        """Return a value with one strange thing somewhere in it."""
        if isinstance(value, dict) and value and self.random.random() < 0.85:
            key = self.random.choice(list(value))
            return {**value, key: self._spoiled(value[key])}
        if isinstance(value, list) and value and self.random.random() < 0.7:
            place = self.random.randrange(len(value))
            return [*value[:place], self._spoiled(value[place]), *value[place + 1 :]]
        return self._strange()

    def _value(self, schema: dict[str, Any], *, depth: int, name: str = "") -> Any:
        if self.random.random() < 0.03:
            return self._strange()
        if self.names.get(name) and self.random.random() < 0.8:
            return self._named(name)
        if "$ref" in schema:
            schema = self.spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._value(self.random.choice(schema[key]), depth=depth, name=name)
        if "allOf" in schema:
            return self._value(schema["allOf"][0], depth=depth, name=name)
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        if "const" in schema:
            return schema["const"]
        return self._plain(schema, depth=depth)

    def _plain(self, schema: dict[str, Any], *, depth: int) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else "")
        kind = self.random.choice(kind) if isinstance(kind, list) else kind
        if kind == "object":
            required, properties = schema.get("required", ()), schema.get("properties", {})
            if not properties:
                return self.random.choice(
                    ({}, {"a": 1}, {"messages": [{"role": "user", "content": "What is a closure?"}]})
                )
            chosen = [each for each in properties if each in required or (depth < 4 and self.random.random() < 0.3)]
            return {each: self._value(properties[each], depth=depth + 1, name=each) for each in chosen}
        if kind == "array":
            count = self.random.choice((0, 1, 1, 2)) if depth < 5 else 0
            return [self._value(schema.get("items", {}), depth=depth + 1) for _ in range(count)]
        if kind == "integer":
            return self.random.choice((0, 1, 2, 10, schema.get("minimum", 0), schema.get("maximum", 100)))
        if kind == "number":
            return self.random.choice((0.0, 0.5, 1, 10.25))
        if kind == "boolean":
            return self.random.random() < 0.5
        if schema.get("format") == "uuid":
            return str(UUID(int=self.random.getrandbits(128), version=4))
        if schema.get("format") == "date-time":
            return "2030-01-01T00:00:00Z"
        return (
            self.random.choice(("a", "values", "messages", "thread_id", "*/5 * * * *", "x" * 40))
            if kind
            else self._strange()
        )


def _wired(target: str) -> str:
    return target.replace(" ", "%20")
