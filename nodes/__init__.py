"""Actors: agents, people and models, and the one step through which all of them work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from state.lazily import exported

if TYPE_CHECKING:
    from nodes.agent import run_agent as run_agent
    from nodes.availability import Hours as Hours
    from nodes.extractive import ExtractiveChatModel as ExtractiveChatModel
    from nodes.models import forbid_network_models as forbid_network_models
    from nodes.models import load_model as load_model
    from nodes.node import agent_node as agent_node
    from nodes.policy import Fallback as Fallback
    from nodes.policy import Policy as Policy
    from nodes.scripted import ScriptedChatModel as ScriptedChatModel
    from nodes.spec import Agent as Agent
    from nodes.spec import HumanAgent as HumanAgent

_HOME = {
    "Agent": "spec",
    "ExtractiveChatModel": "extractive",
    "Fallback": "policy",
    "Hours": "availability",
    "HumanAgent": "spec",
    "Policy": "policy",
    "ScriptedChatModel": "scripted",
    "agent_node": "node",
    "forbid_network_models": "models",
    "load_model": "models",
    "run_agent": "agent",
}

__getattr__, __dir__ = exported(__name__, _HOME)
