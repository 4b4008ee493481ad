"""Talking to models through any OpenAI-compatible API."""

from services.llm.client import LLMClient
from services.llm.completion import Completion, Finish
from services.llm.dialect import Message
from services.llm.endpoint import ModelEndpoint
from services.llm.errors import LLMError
from services.llm.wire import Usage

__all__ = [
    "Completion",
    "Finish",
    "LLMClient",
    "LLMError",
    "Message",
    "ModelEndpoint",
    "Usage",
]
