"""What a model's server accepts, learned from what it refuses.

Servers that call themselves OpenAI-compatible differ in a few parameters. Each difference costs one
refused request and is then remembered for the endpoint and model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from services.llm.errors import ContentRefusedError, LLMError

Message = dict[str, Any]

_IMAGE_WORDS = ("image", "vision", "multimodal", "multi-modal")
_PARAMETER_STATUSES = (400, 422)
_IMAGE_STATUSES = (400, 404, 415, 422, 500)


@dataclass(slots=True)
class Dialect:
    """How one model wants to be asked."""

    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] | None = "max_tokens"
    temperature: bool = True
    stream_options: bool = True
    images: bool = True
    begins_inside_reasoning: bool = False
    _both_names_tried: bool = False

    def learn(self, error: LLMError, body: dict[str, Any]) -> str | None:
        """Adapt to a refusal of `body`.

        Returns:
            What was learned, in a word or two; None when the refusal teaches nothing new.
        """
        if error.status in _IMAGE_STATUSES and not isinstance(error, ContentRefusedError):
            says_image = any(word in error.detail.lower() for word in _IMAGE_WORDS)
            if says_image and self.images and has_images(body["messages"]):
                self.images = False
                return "no images"
        if error.status not in _PARAMETER_STATUSES:
            return None
        said = f"{error.param or ''} {error.detail}"
        if self.stream_options and "stream_options" in said:
            self.stream_options = False
            return "no stream_options"
        if self.temperature and "temperature" in said:
            self.temperature = False
            return "no temperature"
        if self.max_tokens_name and ("max_tokens" in said or "max_completion_tokens" in said):
            return self._rename_max_tokens()
        return None

    def _rename_max_tokens(self) -> str:
        if self._both_names_tried:
            self.max_tokens_name = None
            return "no max_tokens"
        self._both_names_tried = True
        was_old = self.max_tokens_name == "max_tokens"
        self.max_tokens_name = "max_completion_tokens" if was_old else "max_tokens"
        return self.max_tokens_name

    def body(
        self,
        *,
        model: str,
        messages: Sequence[Message],
        max_response_tokens: int,
        temperature: float,
    ) -> dict[str, Any]:
        """The request for a streamed completion."""
        body: dict[str, Any] = {
            "model": model,
            "messages": list(messages) if self.images else without_images(messages),
            "stream": True,
        }
        if self.stream_options:
            body["stream_options"] = {"include_usage": True}
        if self.max_tokens_name and max_response_tokens > 0:
            body[self.max_tokens_name] = max_response_tokens
        if self.temperature:
            body["temperature"] = temperature
        return body


def has_images(messages: Sequence[Message]) -> bool:
    return any(
        part.get("type") == "image_url"
        for message in messages
        if isinstance(message.get("content"), list)
        for part in message["content"]
    )


def without_images(messages: Sequence[Message]) -> list[Message]:
    """The same messages with their text alone, as plain strings."""
    return [
        {**message, "content": _text_of(message["content"])}
        if isinstance(message.get("content"), list)
        else message
        for message in messages
    ]


def _text_of(parts: list[dict[str, Any]]) -> str:
    text = "\n".join(part["text"] for part in parts if part.get("type") == "text")
    return text or "[image]"
