"""Keys of CrewAI's `agents.yaml` and `tasks.yaml` that have no place in a team file, with what to do instead; names of models."""

from __future__ import annotations

import re
from collections.abc import Mapping

AGENT_KEYS: Mapping[str, str] = {
    "allow_code_execution": "give it the toolset `code`, which runs in a sandbox",
    "cache": "`policy: {cache: SECONDS}` keeps answers of models; tools are not cached unless they say so",
    "code_execution_mode": "give it the toolset `code`, which runs in a sandbox",
    "embedder": "the corpus is searched by words; no embedder is needed",
    "function_calling_llm": "one model answers and calls tools",
    "inject_date": "say the date in the task",
    "date_format": "say the date in the task",
    "knowledge": "put the documents in a folder and use the tool `corpus.search`",
    "knowledge_sources": "put the documents in a folder and use the tool `corpus.search`",
    "memory": "a thread remembers its turns: `orchestra run FILE --thread NAME`",
    "multimodal": "agents read text",
    "max_tokens": "a budget limits tokens: `policy: {budget: {tokens: N}}`",
    "mcps": "name the server under `tools:` with `use: mcp`",
    "apps": "name a tool of your own, or an MCP server under `tools:`",
    "planning": "take the pattern plan_execute",
    "reasoning": "take the pattern plan_execute, or a model that reasons",
    "max_reasoning_attempts": "take the pattern plan_execute, or a model that reasons",
    "prompt_template": "write `prompt:` in place of role, goal and backstory",
    "respect_context_window": "long histories are always shortened to what fits",
    "response_template": "write `prompt:`, or a `response_format:`",
    "step_callback": "the trace tells each step: `orchestra trace THREAD`",
    "system_template": "write `prompt:` in place of role, goal and backstory",
    "temperature": "set it where the model is served",
    "use_system_prompt": "what an agent is told is always its system prompt",
    "verbose": "what each agent did is always recorded: `orchestra trace THREAD`",
    "guardrail": "take the pattern review, with a critic that says what has to hold",
    "guardrail_max_retries": "`max_rounds` of the pattern review",
}

TASK_KEYS: Mapping[str, str] = {
    "allow_crewai_trigger_context": "say in the task what to make of the trigger",
    "callback": "the trace tells when a task is done: `orchestra trace THREAD`",
    "config": "settings belong to the agent's policy",
    "converter_cls": "give its agent a `response_format:`",
    "create_directory": "redirect the answer: `orchestra run FILE TASK > OUT`",
    "guardrail": "take the pattern review, with a critic that says what has to hold",
    "guardrails": "take the pattern review, with a critic that says what has to hold",
    "guardrail_max_retries": "`max_rounds` of the pattern review",
    "input_files": "put the documents in a folder and use the tool `corpus.search`",
    "max_retries": "`policy: {max_attempts: N}` of its agent",
    "output_file": "redirect the answer: `orchestra run FILE TASK > OUT`",
    "output_json": "write the fields of the class as a `response_format:` of its agent",
    "output_pydantic": "write the fields of the class as a `response_format:` of its agent",
    "response_model": "write the fields of the class as a `response_format:` of its agent",
    "security_config": "an agent's policy says what it may do",
}

_PROVIDERS = {
    "anthropic": "anthropic",
    "azure": "azure_openai",
    "azure_openai": "azure_openai",
    "bedrock": "bedrock",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "gemini": "google_genai",
    "google": "google_genai",
    "groq": "groq",
    "huggingface": "huggingface",
    "mistral": "mistralai",
    "mistralai": "mistralai",
    "ollama": "ollama",
    "openai": "openai",
    "perplexity": "perplexity",
    "together": "together",
    "vertex_ai": "google_vertexai",
    "xai": "xai",
}
_BARE = (
    (re.compile(r"gpt-|chatgpt-|o[1-9](-|$)"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"gemini-"), "google_genai"),
)


def model_of_llm(llm: str) -> str | None:
    """Return the name of a model, `provider:model`, of what CrewAI calls it by; None when it does not say whose it is."""
    provider, slash, name = llm.strip().partition("/")
    if slash:
        known = _PROVIDERS.get(provider.lower())
        return f"{known}:{name}" if known and name else None
    return next((f"{whose}:{provider}" for named, whose in _BARE if named.match(provider)), None)
