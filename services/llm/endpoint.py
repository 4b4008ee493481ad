"""One place that answers completions: an address, a model's name there, a key."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

OPENAI_BASE_URL = "https://api.openai.com/v1"


@dataclass(frozen=True, slots=True)
class ModelEndpoint:
    """Where a model is asked.

    Args:
        model: "" takes the first that the server lists.
        base_url: "" is OpenAI's.
        api_key: "" for servers that want none.
    """

    model: str
    base_url: str = ""
    api_key: str = field(default="", repr=False)

    @property
    def label(self) -> str:
        """The model's name, with its host when that is not OpenAI's; carries no credentials."""
        name = self.model or "default model"
        if not self.base_url:
            return name
        address = urlsplit(self.base_url)
        host = address.hostname or "?"
        return f"{name} at {host}:{address.port}" if address.port else f"{name} at {host}"
