"""Models by name: load one, say what it is, and keep tests away from the network.

The environment is read at each call: `OPENAI_API_KEY`; `OPENAI_BASE_URL`, any OpenAI-compatible server;
`ORCHESTRA_MODEL`, the default, as `provider:model` or as a bare name on the OpenAI server; `ORCHESTRA_OFFLINE=1`, no
network models.
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from langchain_core.language_models import BaseChatModel
from pydantic import ValidationError

from nodes.scripted import ScriptedChatModel
from state.errors import ModelError

ENGINE = "extractive"
ENGINE_LABEL = "extractive engine (not a language model)"
ENGINE_NOTICE = "Answered by the embedded extractive engine: quotes from documents, not a language model."
"""Shown wherever the engine's output is shown."""

_DEFAULT_NAME = "openai:gpt-5-mini"
_FORM = "expected 'provider:model' such as 'openai:gpt-5-mini', or 'extractive'"
_CALL_LIMIT = 30.0
"""Seconds that a caller is taken to give one call, where it does not say more."""
_MARGIN = 5.0
"""Seconds that the client waits longer: the step's limit comes first, as a client's own timeout would be tried again."""
_CONNECT_LIMIT = 30.0
"""Seconds to reach the server, however long the answer may take."""
_MOST_LOADED = 64
"""Models kept for reuse; past that the one unused for longest is dropped."""
_SHOWN = 20
"""Characters of a malformed name that an error repeats: too few for a key that was passed by mistake."""
_NOT_PROVIDERS = frozenset({"langchain_core", "langchain_tests"})

_loaded: OrderedDict[Hashable, BaseChatModel] = OrderedDict()
_loading = threading.RLock()
_forbidden = 0


@contextmanager
def forbid_network_models() -> Iterator[None]:
    """Make `load_model` refuse every model that a request would leave the process for, in all threads. May be nested.

    Refused are names of providers and instances of provider packages (`langchain_openai` and the like), also where they
    point at this machine. The embedded engine, `ScriptedChatModel` and other fakes pass, and the default becomes the
    engine. A model that is called without having gone through `load_model` is not seen. `ORCHESTRA_OFFLINE=1` in the
    environment does the same.
    """
    global _forbidden
    with _loading:
        _forbidden += 1
    try:
        yield
    finally:
        with _loading:
            _forbidden -= 1


def network_models_forbidden() -> bool:
    """Say whether `forbid_network_models` or `ORCHESTRA_OFFLINE` is in force."""
    return _forbidden > 0 or os.environ.get("ORCHESTRA_OFFLINE", "").lower() not in ("", "0", "false", "no")


def default_model() -> str:
    """Return the name that None stands for: `ORCHESTRA_MODEL`, else OpenAI where it is configured, else the engine.

    While network models are forbidden it is the engine, whatever the environment asks for.
    """
    if network_models_forbidden():
        return ENGINE
    chosen = os.environ.get("ORCHESTRA_MODEL", "").strip()
    if chosen:
        return chosen if ":" in chosen or chosen == ENGINE else f"openai:{chosen}"
    configured = os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL")
    return _DEFAULT_NAME if configured else ENGINE


def describe_model(model: str | BaseChatModel | None) -> str:
    """Return a short name for display and for `price`: `openai:gpt-5-mini`, or the class's name where it has none."""
    if model is None:
        model = default_model()
    if isinstance(model, str):
        return ENGINE_LABEL if model == ENGINE else model
    if isinstance(model, ScriptedChatModel):
        return model.stands_for or type(model).__name__
    if type(model).__name__ == "ExtractiveChatModel":
        return ENGINE_LABEL
    provider, name = _provider_of(type(model)), _name_of(model)
    return f"{provider}:{name}" if provider and name else name or type(model).__name__


def load_model(model: str | BaseChatModel | None = None, **overrides: Any) -> BaseChatModel:
    """Return a chat model that is ready to be called, without client retries and with a timeout of 35 s per request.

    Models loaded by name are shared: the same name, overrides and environment give the same object, for at most 64 of
    them. An OpenAI model may be used from any event loop, one after another or at once. Those of other providers are
    shared within one event loop only, since their clients belong to the loop that first used them.

    Args:
        model: `"provider:model"`, `"extractive"`, None for the default, or a chat model, which is returned as it is.
        overrides: Arguments of the model's class, such as `temperature` or `base_url`.

    Raises:
        ModelError: It cannot be loaded, or the network is forbidden; the message says what to install or to set.
    """
    if isinstance(model, BaseChatModel):
        return _checked_instance(model, overrides)
    return _load(*_wanted(model, overrides, _CALL_LIMIT), overrides)


async def aload_model(
    model: str | BaseChatModel | None = None, *, call_limit: float = _CALL_LIMIT, **overrides: Any
) -> BaseChatModel:
    """Do what `load_model` does, from an event loop: a first load reads files, and does so in a thread.

    Args:
        model: As for `load_model`.
        call_limit: Seconds after which the caller gives up a call. The timeout per request is longer.
        overrides: As for `load_model`.
    """
    if isinstance(model, BaseChatModel):
        return _checked_instance(model, overrides)
    provider, name, timeout, key = _wanted(model, overrides, call_limit)
    if key is not None and key in _loaded:
        return _load(provider, name, timeout, key, overrides)
    return await asyncio.to_thread(_load, provider, name, timeout, key, overrides)


def _wanted(model: str | None, overrides: dict[str, Any], call_limit: float) -> tuple[str, str, float, Hashable]:
    """Return provider, name, timeout and the cache's key: None when an override, such as a dict, cannot be part of one."""
    if model is not None and not isinstance(model, str):
        raise ModelError(f"model: {_FORM}, or a chat model; got {type(model).__name__}")
    provider, name = _parse(default_model() if model is None else model)
    if provider != ENGINE and network_models_forbidden():
        raise ModelError(
            f"model {provider}:{name} needs the network, which is forbidden here; use {ENGINE!r} or a fake"
        )
    timeout = max(_CALL_LIMIT, call_limit) + _MARGIN if provider != ENGINE else 0.0
    loop = None if provider in (ENGINE, "openai") else _running_loop()
    # Every provider reads variables of its own. Hashed, so that the key holds no provider's key.
    key = (provider, name, timeout, tuple(sorted(overrides.items())), hash(tuple(os.environ.items())), loop)
    try:
        hash(key)
    except TypeError:
        return provider, name, timeout, None
    return provider, name, timeout, key


def _load(provider: str, name: str, timeout: float, key: Hashable, overrides: dict[str, Any]) -> BaseChatModel:
    if key is None:
        return _build(provider, name, timeout, overrides)
    with _loading:
        if key not in _loaded:
            _loaded[key] = _build(provider, name, timeout, overrides)
        _loaded.move_to_end(key)
        while len(_loaded) > _MOST_LOADED:
            _loaded.popitem(last=False)
        return _loaded[key]


def _checked_instance(model: BaseChatModel, overrides: dict[str, Any]) -> BaseChatModel:
    if overrides:
        raise ModelError(f"{', '.join(overrides)}: for a model named by a string; set it on the {type(model).__name__}")
    if network_models_forbidden() and _provider_of(type(model)):
        raise ModelError(f"model {describe_model(model)} needs the network, which is forbidden here; use a fake")
    return model


def _parse(text: str) -> tuple[str, str]:
    text = text.strip()
    if text == ENGINE:
        return ENGINE, ""
    provider, colon, name = text.partition(":")
    if not (provider.strip() and colon and name.strip()):
        raise ModelError(f"model: {_FORM}; got {_shown(text)}")
    return provider.strip().lower().replace("-", "_"), name.strip()


def _running_loop() -> Hashable:
    try:
        return weakref.ref(asyncio.get_running_loop())
    except RuntimeError:
        return None


def _build(provider: str, name: str, timeout: float, overrides: dict[str, Any]) -> BaseChatModel:
    try:
        if provider == ENGINE:
            from nodes.extractive import ExtractiveChatModel

            return ExtractiveChatModel(**overrides)
        if provider == "openai":
            from httpx import Timeout

            from nodes.openai_model import create_openai_model

            return create_openai_model(name, **{"timeout": Timeout(timeout, connect=_CONNECT_LIMIT), **overrides})
        return _build_other(provider, name, {"timeout": timeout, "max_retries": 0, **overrides})
    except ValidationError as error:
        # Without the input: that may be a key.
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
        raise ModelError(f"model {provider}:{name} cannot be created: {wrong}") from None


def _build_other(provider: str, name: str, options: dict[str, Any]) -> BaseChatModel:
    from langchain.chat_models import init_chat_model

    try:
        model: BaseChatModel = init_chat_model(name, model_provider=provider, **options)
    except ImportError as error:
        raise ModelError(f"model {provider}:{name}: {error}") from error
    except ValidationError:
        raise
    except ValueError as error:
        known = str(error).partition("providers are:")[2].strip()
        if known:
            raise ModelError(f"model: unknown provider {_shown(provider)}; {_FORM}; known providers: {known}") from None
        raise ModelError(f"model {provider}:{name} cannot be created: {error}") from error
    return model


@cache
def _provider_of(kind: type[BaseChatModel]) -> str:
    """Return the provider whose package the model's class, or a base class of it, comes from; else an empty string."""
    packages = (base.__module__.partition(".")[0] for base in kind.__mro__)
    partners = (p for p in packages if p.startswith("langchain_") and p not in _NOT_PROVIDERS)
    return next(partners, "").removeprefix("langchain_")


def _name_of(model: BaseChatModel) -> str:
    names = (getattr(model, field, None) for field in _name_fields(type(model)))
    return next((name for name in names if isinstance(name, str) and name), "")


@cache
def _name_fields(kind: type[BaseChatModel]) -> tuple[str, ...]:
    """Return the fields that may name a model of a class. One that is not there costs as much as a layer to ask for."""
    fields, any_field = (
        ("model_name", "model", "model_id", "deployment_name"),
        kind.model_config.get("extra") == "allow",
    )
    return tuple(field for field in fields if any_field or field in kind.model_fields or hasattr(kind, field))


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}…")
