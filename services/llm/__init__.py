"""Talking to models through any OpenAI-compatible API."""

from services.llm.client import LLMClient, Written
from services.llm.completion import Completion, Finish
from services.llm.dialect import Message
from services.llm.endpoint import OPENAI_BASE_URL, ModelEndpoint
from services.llm.errors import LLMError
from services.llm.routing import Route, RoutingDecision, route
from services.llm.wire import Usage

__all__ = [
    "OPENAI_BASE_URL",
    "Completion",
    "Finish",
    "LLMClient",
    "LLMError",
    "Message",
    "ModelEndpoint",
    "Route",
    "RoutingDecision",
    "Usage",
    "Written",
    "route",
]
