"""The bytes of a completion's response, read as they arrive.

Reads server-sent events and, because some servers answer a streaming request so, one finished JSON
completion. Tolerant of what is harmless (comments, missing spaces, unknown fields, events without
choices); everything else is a `MalformedResponseError` that says what came instead.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from services.llm.errors import LLMError, MalformedResponseError, ServerError, error_from_response

_JSON_MAX_BYTES = 16 * 1024 * 1024
_EVENT_MAX_BYTES = 4 * 1024 * 1024
_EVENT_FIELDS = (b":", b"event:", b"id:", b"retry:")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0  # of the prompt, read from the provider's prefix cache


class ResponseReader:
    """One response. `feed` every chunk, then `finish`.

    Attributes:
        error: set when the response turned out to be one; text fed before it is still good.
        finish_reason: the provider's word, None until it came.
        done: nothing of interest follows.
        advanced: whether the last `feed` brought text or reasoning.
    """

    def __init__(self, *, secret: str = "") -> None:
        self.error: LLMError | None = None
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self.done = False
        self.advanced = False
        self._secret = secret
        self._is_json: bool | None = None
        self._rest = b""
        self._event = b""  # data lines of an event whose JSON is not complete yet
        self._saw_choice = False

    def feed(self, chunk: bytes) -> str:
        """The answer's text in `chunk`."""
        self.advanced = False
        data = self._rest + chunk
        if self._is_json is None:
            data = data.lstrip(b"\xef\xbb\xbf \r\n\t")
            if data:
                self._is_json = data[:1] == b"{"
        if self._is_json:
            self._rest = data
            if len(data) > _JSON_MAX_BYTES:
                self._fail("a JSON body without end")
            return ""
        *lines, self._rest = data.split(b"\n")
        if len(self._rest) > _EVENT_MAX_BYTES:
            self._fail("a line without end")
        texts: list[str] = []
        for line in lines:
            if self.done or self.error:
                break
            self._read_line(line.rstrip(b"\r"), texts)
        return "".join(texts)

    def finish(self) -> str:
        """The end of the body; returns the text that was still open."""
        self.advanced = False
        texts: list[str] = []
        rest, self._rest = self._rest, b""
        if self._is_json:
            self._read_json(rest, texts)
        elif rest and not self.done and not self.error:
            self._read_line(rest.rstrip(b"\r"), texts)
        if self._event and not self.error:
            self._fail("an event that is not JSON")
        if not self._saw_choice and not self.error:
            self._fail("a response without a completion")
        return "".join(texts)

    def _read_line(self, line: bytes, texts: list[str]) -> None:
        if line.startswith(b"data:"):
            self._read_data(line[5:].strip(), texts)
        elif not line:
            if self._event:
                self._fail("an event that is not JSON")
        elif not line.startswith(_EVENT_FIELDS):
            self._fail(f"no event stream: {line[:60]!r}")

    def _read_data(self, data: bytes, texts: list[str]) -> None:
        if data == b"[DONE]":
            if self._saw_choice:
                self.done = True
            else:
                self._fail("a stream without a completion")
            return
        if not data:
            return
        data = self._event + data
        try:
            event = json.loads(data.decode(errors="replace"))
        except ValueError:
            self._event = data + b"\n"
            if len(data) > _EVENT_MAX_BYTES:
                self._fail("an event without end")
            return
        self._event = b""
        self._read_object(event, texts)

    def _read_json(self, data: bytes, texts: list[str]) -> None:
        try:
            completion = json.loads(data.decode(errors="replace"))
        except (ValueError, RecursionError):
            self._fail("a body that is not JSON")
            return
        self._read_object(completion, texts)
        self.done = self._saw_choice and self.error is None

    def _read_object(self, event: Any, texts: list[str]) -> None:
        if not isinstance(event, dict):
            self._fail("an event that is not an object")
            return
        error = event.get("error") or (event if event.get("object") == "error" else None)
        if error:
            self.error = error_from_response(
                status=None, body=error, headers={}, secret=self._secret
            )
            return
        if isinstance(usage := event.get("usage"), dict):
            self._read_usage(usage)
        choices = event.get("choices")
        if not isinstance(choices, list):
            return
        for choice in choices[:1]:
            if not isinstance(choice, dict):
                self._fail("a choice that is not an object")
                return
            self._saw_choice = True
            self._read_choice(choice, texts)

    def _read_choice(self, choice: dict[str, Any], texts: list[str]) -> None:
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, dict):
            text = _text(delta.get("content") or delta.get("refusal"))
            if text:
                texts.append(text)
            if text or delta.get("reasoning_content") or delta.get("reasoning"):
                self.advanced = True
        reason = choice.get("finish_reason")
        if reason == "error":
            self.error = ServerError("the stream ended with an error")
        elif isinstance(reason, str):
            self.finish_reason = reason

    def _read_usage(self, usage: dict[str, Any]) -> None:
        prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
        if isinstance(prompt, int) and isinstance(completion, int):
            self.usage = Usage(prompt, completion, _cached_tokens(usage, prompt))

    def _fail(self, what: str) -> None:
        if self.error is None:
            self.error = MalformedResponseError(what)


def _cached_tokens(usage: dict[str, Any], prompt_tokens: int) -> int:
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return cached if type(cached) is int and 0 <= cached <= prompt_tokens else 0


def _text(content: object) -> str:
    """A delta's content: a string, or a list of parts of which the text ones count."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part for part in content if isinstance(part, dict) and part.get("type") == "text")
        return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))
    return ""
