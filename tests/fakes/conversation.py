"""Messages and records with everything filled in that a test does not care about."""

from __future__ import annotations

from typing import Any

from services.conversation import HistoryRecord, IncomingMessage, Turn

ADA, BOB = 5, 6
GUILD = 9
NAMES = {ADA: "Ada", BOB: "Bob"}


def said(message_id: int, text: str = "", *, by: int = ADA, **fields: Any) -> IncomingMessage:
    """A person's message."""
    return IncomingMessage(
        id=message_id,
        author_id=by,
        author_name=NAMES.get(by, f"Person {by}"),
        text=text or f"message {message_id}",
        sent_at=1000.0 + message_id,
        **fields,
    )


def turn(
    *messages: IncomingMessage, conversation_id: int = 1, in_room: bool = True, **fields: Any
) -> Turn:
    fields.setdefault("guild_id", GUILD if in_room else None)
    return Turn(conversation_id, messages, **fields)


def question(message_id: int, text: str = "", *, by: int = ADA, **fields: Any) -> HistoryRecord:
    """A recorded message of a person."""
    return HistoryRecord(
        id=message_id,
        role="user",
        at=1000.0 + message_id,
        text=text or f"question {message_id}",
        author_id=by,
        author_name=NAMES.get(by, f"Person {by}"),
        **fields,
    )


def answer(turn_id: int, text: str = "", **fields: Any) -> HistoryRecord:
    """A recorded answer."""
    fields.setdefault("answers", (turn_id,))
    return HistoryRecord(
        id=turn_id,
        role="assistant",
        at=1000.5 + turn_id,
        text=text or f"answer {turn_id}",
        **fields,
    )
