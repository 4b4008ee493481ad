"""What a conversation is made of, from the message that comes in to the record that stays.

    IncomingMessage   one message as the bot heard it, text or speech
    Turn              a burst of them by one person: what one answer answers
    HistoryRecord     one line of a conversation's history

All of them are values: nothing here does I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message, as far as it could be read.

    Exactly one of `text`, `image_url` and `problem` is set.

    Args:
        name: file name as the person sees it.
        text: its text, already cut to the reader's bound.
        image_url: a `data:` URL with the image's bytes.
        problem: why it could not be read; ends the sentence "I could not read NAME: …".
    """

    name: str
    text: str | None = None
    image_url: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """The message that a message replies to. `author_id` is 0 where it is not known."""

    message_id: int
    author_name: str
    text: str
    author_id: int = 0


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """One message addressed to the bot.

    `sent_at` is in Unix seconds. `author_name` is how the room calls the person.
    """

    id: int
    author_id: int
    author_name: str
    text: str
    sent_at: float
    quote: Quote | None = None
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """What one answer answers: the messages of one burst, oldest first, never empty.

    Args:
        conversation_id: id of the channel, thread or direct-message channel.
        guild_id: the server; None in direct messages.
        channel_ids: where it was said, the most specific first: a thread, its channel.
        is_anew: it was answered before, and not well enough.
        partial_answer: what the model said before it was cut off; the answer goes on from there.
    """

    conversation_id: int
    messages: tuple[IncomingMessage, ...]
    guild_id: int | None = None
    channel_ids: tuple[int, ...] = ()
    is_anew: bool = False
    partial_answer: str = ""

    @property
    def in_room(self) -> bool:
        """Several people can take part, so the prompt carries names."""
        return self.guild_id is not None

    @property
    def id(self) -> int:
        """The id of the turn is that of its last message: the one the answer replies to."""
        return self.messages[-1].id

    @property
    def author_id(self) -> int:
        return self.messages[-1].author_id

    @property
    def unread(self) -> list[Attachment]:
        """The attachments that could not be read."""
        return [a for message in self.messages for a in message.attachments if a.problem]

    def continuing(self, partial_answer: str) -> Turn:
        return replace(self, partial_answer=partial_answer)


class AnswerStatus(StrEnum):
    """How an answer ended."""

    COMPLETE = "complete"
    STOPPED = "stopped"  # by a person
    CUT_OFF = "cut_off"  # by a failing model, its token limit or the end of the process


@dataclass(frozen=True, slots=True)
class HistoryRecord:
    """One line of a conversation's history: a person's message or an answer to it.

    Args:
        id: a message's own id; for an answer the id of its turn.
        role: "user" or "assistant".
        at: Unix seconds.
        text: what was said. Files that came along are already part of it.
        author_id, author_name: of the person; 0 and "" for an answer.
        quote: the message it replies to.
        answers: ids of the messages that an answer answers.
        message_ids: where an answer stands in Discord, in order.
        status: how an answer ended.
    """

    id: int
    role: str
    at: float
    text: str
    author_id: int = 0
    author_name: str = ""
    quote: Quote | None = None
    answers: tuple[int, ...] = ()
    message_ids: tuple[int, ...] = ()
    status: AnswerStatus = AnswerStatus.COMPLETE

    @property
    def key(self) -> tuple[str, int]:
        """A later record with the same key replaces an earlier one, in its place."""
        return (self.role, self.id)
