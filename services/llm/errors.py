"""What can go wrong with a model, each with its one sentence for the person.

    LLMError
    ├── AuthenticationError        401, 403: the key is refused
    ├── UnknownModelError          404: no such model, or no such address
    ├── RateLimitError             429: too many requests; retry_after_s when the provider said
    ├── QuotaExhaustedError        402, 429 insufficient_quota: no credit left
    ├── ServerError                5xx, or an error object inside the stream
    ├── ResponseTimeoutError       no token in time
    ├── UnreachableError           connection refused, DNS, TLS
    ├── ConnectionLostError        the connection died before the answer was complete
    ├── MalformedResponseError     not a completion: garbage, an HTML page, a wrong shape
    └── BadRequestError            400, 422
        ├── ContextTooLongError    the prompt does not fit the model
        └── ContentRefusedError    the provider's content rules

A provider's words reach `detail` shortened and without its key; they never reach `sentence`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from math import ceil
from typing import Any

from services.errors import BotError

_DETAIL_MAX_CHARS = 300


class LLMError(BotError):
    """A model did not answer.

    Args:
        status: the HTTP status, when there was a response.
        param: the request parameter that the provider named, when it did.
    """

    sentence = "The model could not answer just now. Please try again."
    counts_against_endpoint = True  # whether the circuit breaker counts it

    def __init__(
        self,
        detail: str = "",
        *,
        status: int | None = None,
        param: str | None = None,
        sentence: str | None = None,
    ) -> None:
        super().__init__(detail, sentence=sentence)
        self.detail = detail
        self.status = status
        self.param = param


class AuthenticationError(LLMError):
    sentence = "The model refuses my API key, so I cannot answer until my operator has fixed it."


class UnknownModelError(LLMError):
    sentence = "The model I am set to use does not exist; my operator needs to choose another."


class RateLimitError(LLMError):
    sentence = "The model has too much to do right now. Please try again in a moment."
    retryable = True

    def __init__(
        self,
        detail: str = "",
        *,
        status: int | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        sentence = None
        if retry_after_s is not None:
            when = _in_words(retry_after_s)
            sentence = f"The model has too much to do right now. Please try again in {when}."
        super().__init__(detail, status=status, param=param, sentence=sentence)
        self.retry_after_s = retry_after_s


class QuotaExhaustedError(LLMError):
    sentence = (
        "My credit with the model's provider is used up, so I cannot answer "
        "until my operator has renewed it."
    )


class ServerError(LLMError):
    sentence = "The model's server has a problem right now. Please try again in a moment."
    retryable = True


class ResponseTimeoutError(LLMError):
    sentence = "The model took too long to answer. Please try again."
    retryable = True


class UnreachableError(LLMError):
    sentence = "I cannot reach the model right now. Please try again in a moment."
    retryable = True


class ConnectionLostError(LLMError):
    sentence = "The connection to the model broke. Please try again."
    retryable = True


class MalformedResponseError(LLMError):
    sentence = "The model's server sent something that I cannot read. Please try again in a moment."
    retryable = True


class BadRequestError(LLMError):
    sentence = "The model did not accept this. Other words, or a fresh start with /reset, may help."
    counts_against_endpoint = False


class ContextTooLongError(BadRequestError):
    sentence = (
        "This is more than the model can read at once. "
        "Please send less, or start afresh with /reset."
    )


class ContentRefusedError(BadRequestError):
    sentence = "The model's provider refused this because of its content rules."


def error_from_response(
    *, status: int | None, body: object, headers: Mapping[str, str], secret: str
) -> LLMError:
    """The error that a provider's error object stands for.

    Args:
        status: None for an error event inside a stream.
        body: the parsed `error` member, or whatever came in its place.
        secret: the key, to be kept out of the detail.
    """
    fields: Mapping[str, Any] = body if isinstance(body, dict) else {}
    message = fields.get("message") if fields else body
    message = message if isinstance(message, str) else str(fields or message or "")
    code = fields.get("code")
    words = " ".join(str(fields.get(name) or "") for name in ("code", "type", "status")).lower()
    if status is None and isinstance(code, int) and 400 <= code < 600:
        status = code
    param = fields.get("param")
    detail = _without_secret(message, secret)
    known: dict[str, Any] = {"status": status, "param": param if isinstance(param, str) else None}

    text = message.lower()
    if _says(words, text, ("insufficient_quota", "billing_hard_limit")) or status == 402:
        return QuotaExhaustedError(detail, **known)
    if _says(words, "", ("content_filter", "content_policy", "moderation")):
        return ContentRefusedError(detail, **known)
    if _says(words, text, _CONTEXT_TOO_LONG) or status == 413:
        return ContextTooLongError(detail, **known)
    if status == 429 or _says(words, "", ("rate_limit", "too_many_requests")):
        return RateLimitError(detail, retry_after_s=retry_after_s(headers), **known)
    if status in (401, 403) or _says(words, "", ("invalid_api_key", "authentication")):
        return AuthenticationError(detail, **known)
    if status == 404 or _says(words, "", ("model_not_found",)):
        return UnknownModelError(detail, **known)
    if status == 408:
        return ResponseTimeoutError(detail, **known)
    if status is not None and 400 <= status < 500:
        return BadRequestError(detail, **known)
    return ServerError(detail, **known)


_CONTEXT_TOO_LONG = (
    "context_length",
    "context length",
    "context window",
    "context size",
    "prompt is too long",
)


def _says(words: str, text: str, phrases: tuple[str, ...]) -> bool:
    return any(phrase in words or phrase in text for phrase in phrases)


def _without_secret(message: str, secret: str) -> str:
    if secret:
        message = message.replace(secret, "***")
    message = re.sub(r"\b(sk|pk|key)-[\w*.-]{4,}", r"\1-***", message)
    message = re.sub(r"//[^/\s@]+@", "//***@", message)
    return " ".join(message.split())[:_DETAIL_MAX_CHARS]


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """When to try again: Retry-After (seconds or a date), else the rate limit's own reset."""
    if (ms := _number(headers.get("retry-after-ms"))) is not None:
        return ms / 1000
    if value := headers.get("retry-after"):
        if (seconds := _number(value)) is not None:
            return seconds
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except ValueError:
            pass
    resets = []
    for kind in ("requests", "tokens"):
        reset = _duration_s(headers.get(f"x-ratelimit-reset-{kind}"))
        if reset is not None:
            used_up = _number(headers.get(f"x-ratelimit-remaining-{kind}")) == 0
            resets.append((not used_up, reset))
    return min(resets)[1] if resets else None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < 1e7 else None


def _duration_s(text: str | None) -> float | None:
    """Go's notation: `6m0s`, `1.5s`, `20ms`; a bare number is seconds."""
    if (seconds := _number(text)) is not None:
        return seconds
    if not text or not re.fullmatch(r"(\d+(\.\d+)?(h|ms|m|s))+", text):
        return None
    unit_s = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|ms|m|s)", text)
    return sum(float(number) * unit_s[unit] for number, unit in parts)


def _in_words(seconds: float) -> str:
    if seconds <= 1:
        return "a second"
    if seconds <= 90:
        return f"{ceil(seconds)} seconds"
    if seconds <= 5400:
        return f"{ceil(seconds / 60)} minutes"
    return f"{ceil(seconds / 3600)} hours"
