"""The prompt: persona, recent conversation and the current messages, inside a token budget.

    [{"role": "system", "content": persona},
     {"role": "user", "content": "Ada: what is a monad?"},        recent turns, oldest first
     {"role": "assistant", "content": "A monad is …"},
     {"role": "user", "content": "Ada: and a functor?"}]          the turn

Most stable first, so that a provider's prefix cache stays warm. Persona and current messages
are always in; recent conversation fills the rest of the budget, newest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from services.conversation import (
    AnswerStatus,
    Attachment,
    HistoryRecord,
    IncomingMessage,
    Quote,
    Turn,
)
from services.tokens import MESSAGE_OVERHEAD_TOKENS, estimate_tokens

ChatMessage = dict[str, Any]

_QUOTE_CHARS = 1500
_KNOWN_QUOTE_CHARS = 80  # the quoted message stands in the prompt anyway
_REMEMBERED_FILE_CHARS = 2000

_ROOM_NOTE = (
    "Several people may talk in this room: each of their messages begins with the speaker's "
    "name and a colon. Answer the last message. Do not begin your own messages with a name."
)


class QueryOptimizer:
    """Builds prompts. Stateless: the same turn and records give the same bytes.

    Args:
        persona: `SYSTEM_PROMPT`.
        max_history_messages: recent messages in the prompt at the most.
        max_context_tokens: estimated size of the whole prompt at the most.
    """

    def __init__(self, *, persona: str, max_history_messages: int, max_context_tokens: int) -> None:
        self._persona = persona
        self._max_history_messages = max_history_messages
        self._max_context_tokens = max_context_tokens

    def build(self, turn: Turn, records: Sequence[HistoryRecord]) -> list[ChatMessage]:
        """The chat messages for one request.

        Args:
            turn: what is to be answered.
            records: the conversation, oldest first. The turn itself may be among them, and so
                may what was said later, when an answer is made anew: neither is looked at.
        """
        persona = f"{self._persona}\n\n{_ROOM_NOTE}" if turn.in_room else self._persona
        current_ids = {message.id for message in turn.messages}
        before = [
            record
            for record in records
            if record.text and record.id < turn.id and record.id not in current_ids
        ]
        before = before[max(0, len(before) - self._max_history_messages) :]
        budget = self._max_context_tokens - _cost(persona)
        if turn.partial_answer:
            budget -= _cost(turn.partial_answer)  # the model is shown it behind the prompt

        names = {_one_line(r.author_name) for r in before if r.role == "user"}
        names |= {_one_line(message.author_name) for message in turn.messages}
        room = _Room(frozenset(names)) if turn.in_room else None
        quoted = {message.quote.message_id for message in turn.messages if message.quote}
        known_ids = _ids(before)
        while True:
            current = _merge_content([self._current(m, room, known_ids) for m in turn.messages])
            window = _newest(before, room, budget - _cost(_text_of(current)))
            hidden = quoted & known_ids - _ids(window)
            if not hidden:
                break
            known_ids -= hidden  # quoted, and not in the prompt after all: quote more of it

        messages: list[ChatMessage] = [{"role": "system", "content": persona}]
        messages += [{"role": r.role, "content": _recorded(r, room)} for r in window]
        messages.append({"role": "user", "content": current})
        return _alternating(messages)

    def _current(
        self, message: IncomingMessage, room: _Room | None, known_ids: set[int]
    ) -> str | list[dict[str, Any]]:
        text = _spoken(
            message.text, message.author_name, message.quote, room=room, known_ids=known_ids
        )
        text += "".join(_file_text(a) for a in message.attachments)
        images = [a.image_url for a in message.attachments if a.image_url]
        if not images:
            return text
        parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
        parts += [{"type": "image_url", "image_url": {"url": url}} for url in images]
        return parts


@dataclass(frozen=True, slots=True)
class _Room:
    """A conversation in which several people may write."""

    names: frozenset[str]

    def line_of(self, name: str, text: str) -> str:
        """What a person says, under their name; no line of it passes for somebody else's."""
        first, *rest = text.split("\n")
        lines = [f"> {line}" if self._names_a_speaker(line) else line for line in rest]
        return "\n".join([f"{_one_line(name)}: {first}", *lines])

    def _names_a_speaker(self, line: str) -> bool:
        name, colon, _ = line.partition(":")
        return bool(colon) and name.strip() in self.names


def record_of(message: IncomingMessage) -> HistoryRecord:
    """What stays of a message in the history: its text and the beginning of its files."""
    text = message.text
    text += "".join(_file_text(a, _REMEMBERED_FILE_CHARS) for a in message.attachments)
    return HistoryRecord(
        id=message.id,
        role="user",
        at=message.sent_at,
        text=text,
        author_id=message.author_id,
        author_name=message.author_name,
        quote=message.quote,
    )


def _newest(
    records: Sequence[HistoryRecord], room: _Room | None, budget_tokens: int
) -> Sequence[HistoryRecord]:
    """As many of the newest records as fit."""
    start = len(records)
    while start > 0:
        budget_tokens -= _cost(_recorded(records[start - 1], room))
        if budget_tokens < 0:
            break
        start -= 1
    # An answer whose question did not fit is no way to begin.
    while start < len(records) and records[start].role == "assistant":
        start += 1
    return records[start:]


def _ids(records: Iterable[HistoryRecord]) -> set[int]:
    """The messages that the records stand for."""
    return {i for record in records for i in (record.id, *record.message_ids)}


def _recorded(record: HistoryRecord, room: _Room | None) -> str:
    if record.role == "assistant":
        return record.text + ("" if record.status is AnswerStatus.COMPLETE else " […]")
    return _spoken(record.text, record.author_name, record.quote, room=room, known_ids=None)


def _spoken(
    text: str, name: str, quote: Quote | None, *, room: _Room | None, known_ids: set[int] | None
) -> str:
    """A message as the model reads it, with its speaker and what it replies to."""
    said = text if room is None else room.line_of(name, text)
    if quote is None or not quote.text:
        return said
    is_known = known_ids is None or quote.message_id in known_ids
    limit = _KNOWN_QUOTE_CHARS if is_known else _QUOTE_CHARS
    return f"[In reply to {_one_line(quote.author_name)}: {_shortened(quote.text, limit)}]\n{said}"


def _file_text(attachment: Attachment, limit_chars: int | None = None) -> str:
    if attachment.problem is not None:
        return f"\n[Attached file {_one_line(attachment.name)}, which you cannot read]"
    if attachment.text is None:
        return f"\n[Attached image {_one_line(attachment.name)}]"
    text = attachment.text if limit_chars is None else _shortened(attachment.text, limit_chars)
    fence = "```"
    while fence in text:
        fence += "`"
    return f"\n[Attached file {_one_line(attachment.name)}]\n{fence}\n{text}\n{fence}"


def _shortened(text: str, limit_chars: int) -> str:
    return text if len(text) <= limit_chars else text[:limit_chars].rstrip() + " […]"


def _one_line(name: str) -> str:
    return " ".join(name.replace(":", " ").split())


def _cost(text: str) -> int:
    return estimate_tokens(text) + MESSAGE_OVERHEAD_TOKENS


def _text_of(content: str | list[dict[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def _merge_content(contents: Iterable[str | list[dict[str, Any]]]) -> str | list[dict[str, Any]]:
    """Several messages' content as one: a string while there are no images."""
    merged: list[dict[str, Any]] = []
    for content in contents:
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for part in parts:
            if part["type"] == "text" and merged and merged[-1]["type"] == "text":
                merged[-1] = {"type": "text", "text": f"{merged[-1]['text']}\n{part['text']}"}
            else:
                merged.append(part)
    if len(merged) == 1 and merged[0]["type"] == "text":
        text: str = merged[0]["text"]
        return text
    return merged


def _alternating(messages: Iterable[ChatMessage]) -> list[ChatMessage]:
    """Neighbours of the same role become one message: strict chat templates refuse them."""
    result: list[ChatMessage] = []
    for message in messages:
        if result and result[-1]["role"] == message["role"]:
            content = _merge_content([result[-1]["content"], message["content"]])
            result[-1] = {"role": message["role"], "content": content}
        else:
            result.append(message)
    return result
