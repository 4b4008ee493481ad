"""The prompt: persona, summary, recent turns, profile and the current message, in a token budget.

    [{"role": "system", "content": persona},
     {"role": "user", "content": "[Earlier in this conversation: …]"},      summary
     {"role": "user", "content": "Ada: what is a monad?"},                  recent turns
     {"role": "assistant", "content": "A monad is …"},
     {"role": "user", "content": "[About Ada: …]\nAda: and a functor?"}]    profile, current message

Neighbours of one role are sent as one message. The most stable comes first, and between two
summaries a prompt only grows at its end: it begins with the one before and its answer, byte for
byte, so that a provider's prefix cache stays warm. For that a message always reads the same (but
for images and long files, which are sent once), what was said of a person stays with the message
it was said for, and what has to give way to the budget leaves in one large step rather than with
every message.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from services.conversation import (
    AnswerStatus,
    Attachment,
    HistoryRecord,
    IncomingMessage,
    Quote,
    Turn,
)
from services.conversation_summarizer import Summary
from services.tokens import MESSAGE_OVERHEAD_TOKENS

ChatMessage = dict[str, Any]

IMAGE_TOKENS = 500  # what an image counts; providers differ between 85 and 1,500

_QUOTE_CHARS = 600
_KNOWN_QUOTE_CHARS = 80  # the quoted message stands in the prompt anyway
_REMEMBERED_FILE_CHARS = 2000
_FRAGMENT_CHARS = 40  # an answer that was cut off before this says nothing
_PROFILE_SHARE = 0.1  # of the budget at the most
_MIN_CURRENT_TOKENS = 50  # even where the persona leaves no room
_HEAD_SHARE = 0.7  # of what is kept of a message that is too long; the rest is its end
_KEPT_SHARE = 0.6  # of the room for recent turns, once they had to give way
_WINDOWS = 4  # so many times the window stand in a prompt while no summary can be had

_ROOM_NOTE = (
    "Several people may talk in this room: each of their messages begins with the speaker's "
    "name and a colon. Answer the last message. Do not begin your own messages with a name."
)
_SAME_ANSWER = "[The same answer as before]"
_SUMMARY_BEGIN = "[Earlier in this conversation, summed up:"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a prompt: how many things it holds, and what they cost."""

    name: str
    items: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request to the model, and why it looks as it does.

    Args:
        parts: in the order of the prompt.
        left_out: what did not fit or added nothing, as short clauses for the operator.
        unread: what of the current message the model does not see, one sentence for the person.
    """

    messages: list[ChatMessage]
    parts: tuple[Part, ...]
    left_out: tuple[str, ...] = ()
    unread: str = ""

    @property
    def tokens(self) -> int:
        return sum(part.tokens for part in self.parts)


@dataclass(slots=True)
class PromptMemory:
    """What the prompts of one conversation have decided, so that the next one agrees.

    Args:
        floor_id: recent messages up to this one had to give way.
        said_of: what was said of a person, by the id of the message that it stands before.
        last: the newest prompt, without its messages, for whoever wants to look.
    """

    floor_id: int = 0
    said_of: OrderedDict[int, tuple[int, str]] = field(default_factory=OrderedDict)
    last: Prompt | None = None

    def forget_person(self, user_id: int) -> None:
        for message_id in [m for m, (person, _) in self.said_of.items() if person == user_id]:
            del self.said_of[message_id]


class QueryOptimizer:
    """Builds prompts. The same turn, records, summary and memory give the same bytes.

    Args:
        count: tokens of a text.
        max_history_messages: recent messages in the prompt; more only until they are summed up.
        max_context_tokens: size of the whole prompt at the most.
    """

    def __init__(
        self, *, count: Callable[[str], int], max_history_messages: int, max_context_tokens: int
    ) -> None:
        self._count = count
        self._max_history_messages = max_history_messages
        self.max_context_tokens = max_context_tokens

    def build(
        self,
        turn: Turn,
        records: Sequence[HistoryRecord],
        *,
        persona: str,
        summary: Summary | None = None,
        facts: Sequence[str] = (),
        memory: PromptMemory | None = None,
    ) -> Prompt:
        """The chat messages for one request.

        Args:
            turn: what is to be answered.
            records: the conversation, oldest first. The turn itself may be among them, and so
                may what was said later, when an answer is made anew: neither is looked at.
            summary: of what came before the records; blocks beyond the turn are not looked at.
            facts: what is known of the turn's author and matters here, best first.
            memory: of the conversation; changed by this call.
        """
        memory = memory or PromptMemory()
        if any(record.id > turn.id for record in records):  # of an older turn, made anew
            memory = PromptMemory(said_of=memory.said_of.copy())
        system = f"{persona}\n\n{_ROOM_NOTE}" if turn.in_room else persona
        summary = (summary or Summary()).before(turn.messages[0].id)
        said, skipped = _worth_sending(turn, records, summary.up_to)
        names = {_one_line(r.author_name) for r in said if r.role == "user"}
        names |= {_one_line(message.author_name) for message in turn.messages}
        room = _Room(frozenset(names)) if turn.in_room else None
        left_out = [f"{skipped} messages that add nothing"] if skipped else []

        budget = self.max_context_tokens - self._cost(system)
        if turn.partial_answer:
            budget -= self._cost(turn.partial_answer)  # the model is shown it behind the prompt
        images = _images_of(turn)
        # Quotes at their longest, until it is known which of them stand in the prompt.
        text, unread = self._shortened(
            _turn_text(turn, room, frozenset()), max(budget, _MIN_CURRENT_TOKENS)
        )
        if unread:
            left_out.append("a part of the current message")
        budget -= self._cost(text)

        for message_id in [i for i in memory.said_of if i <= summary.up_to]:
            del memory.said_of[message_id]
        about, facts_in = self._about(turn, facts, memory, budget)
        budget -= self._count(about) + IMAGE_TOKENS * len(images)
        recent = self._recent(said, room, memory, budget)
        if len(recent) < len(said):
            left_out.append(f"{len(said) - len(recent)} recent messages that do not fit")
        if not unread:
            text = _turn_text(turn, room, _ids(recent))
        lines = [_line_of(record, room, memory, _ids(recent)) for record in recent]
        recent_tokens = sum(self._cost(line) for line in lines)
        earlier, blocks_in = self._earlier(summary, budget - recent_tokens)
        if blocks_in < len(summary.blocks):
            left_out.append(f"{len(summary.blocks) - blocks_in} blocks of the summary")

        messages: list[ChatMessage] = [{"role": "system", "content": system}]
        if earlier:
            messages.append({"role": "user", "content": earlier})
        for record, line in zip(recent, lines, strict=True):
            messages.append({"role": record.role, "content": line})
        spoken = f"{about}{text}"
        current = [{"type": "text", "text": spoken}, *images] if images else spoken
        messages.append({"role": "user", "content": current})
        parts = (
            Part("persona", 1, self._cost(system)),
            Part("summary", blocks_in, self._cost(earlier) if earlier else 0),
            Part("recent turns", len(recent), recent_tokens),
            Part("profile", facts_in, self._count(about)),
            Part(
                "current message",
                len(turn.messages),
                self._cost(text) + IMAGE_TOKENS * len(images),
            ),
        )
        return Prompt(_alternating(messages), parts, tuple(left_out), unread)

    def _cost(self, text: str) -> int:
        return self._count(text) + MESSAGE_OVERHEAD_TOKENS

    def _shortened(self, text: str, limit_tokens: int) -> tuple[str, str]:
        """The text within the limit, without its middle, and what to tell the person about that."""
        cost = self._cost(text)
        if cost <= limit_tokens:
            return text, ""
        kept_chars = len(text)
        short = text
        while cost > limit_tokens and kept_chars > 1:
            kept_chars = int(kept_chars * min(0.95, 0.97 * limit_tokens / cost))
            head = int(kept_chars * _HEAD_SHARE)
            left_out = len(text) - kept_chars
            gap = f"\n[… {left_out} characters of this message left out …]\n"
            short = f"{text[:head]}{gap}{text[len(text) - (kept_chars - head) :]}"
            cost = self._cost(short)
        share = max(1, round(100 * (len(text) - kept_chars) / len(text)))
        return short, (
            f"That was too long for me to read at once: I left out {share} % of it, in the middle."
        )

    def _about(
        self, turn: Turn, facts: Sequence[str], memory: PromptMemory, budget: int
    ) -> tuple[str, int]:
        """What is known of the author, as far as the recent turns do not say it already."""
        first = turn.messages[0]
        memory.said_of.pop(first.id, None)  # an earlier try at the same turn
        said = "\n".join(text for user, text in memory.said_of.values() if user == first.author_id)
        limit = min(budget, int(_PROFILE_SHARE * self.max_context_tokens))
        chosen: list[str] = []
        about = ""
        for fact in facts:
            if fact in said:
                continue
            longer = (
                f"[About {_one_line(first.author_name)}, as told: {'; '.join([*chosen, fact])}]\n"
            )
            if self._count(longer) > limit:
                break
            chosen.append(fact)
            about = longer
        if about:
            memory.said_of[first.id] = (first.author_id, about)
        return about, len(chosen)

    def _recent(
        self,
        said: Sequence[HistoryRecord],
        room: _Room | None,
        memory: PromptMemory,
        budget: int,
    ) -> Sequence[HistoryRecord]:
        """As many of the newest records as fit; once they do not, clearly fewer."""
        if self._max_history_messages == 0:
            return ()
        begin = next((i for i, r in enumerate(said) if r.id > memory.floor_id), len(said))
        costs = [self._cost(_line_of(record, room, memory, frozenset())) for record in said]
        most = _WINDOWS * self._max_history_messages
        if len(said) - begin > most or sum(costs[begin:]) > budget:
            begin, used = len(said), 0
            for index in range(len(said) - 1, -1, -1):
                used += costs[index]
                if used > budget or len(said) - index > self._max_history_messages:
                    break
                if used > _KEPT_SHARE * budget and index < len(said) - 1:
                    break
                begin = index
        # An answer whose question did not fit is no way to begin.
        while begin < len(said) and said[begin].role == "assistant":
            begin += 1
        if begin:
            memory.floor_id = max(memory.floor_id, *(r.id for r in said[:begin]))
        return said[begin:]

    def _earlier(self, summary: Summary, budget: int) -> tuple[str, int]:
        """The summary, or as many of its newest blocks as fit."""
        for skipped in range(len(summary.blocks)):
            text = Summary(summary.blocks[skipped:]).text
            earlier = f"{_SUMMARY_BEGIN}\n{text}\n]"
            if text and self._cost(earlier) <= budget:
                return earlier, len(summary.blocks) - skipped
        return "", 0


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


def _worth_sending(
    turn: Turn, records: Iterable[HistoryRecord], after_id: int
) -> tuple[list[HistoryRecord], int]:
    """The records that say something the model should know, and how many do not.

    Left out are fragments of answers that were cut off, and messages that were sent twice; a long
    answer that repeats the one before says just that. It depends on earlier records alone.
    """
    current_ids = {message.id for message in turn.messages}
    kept: list[HistoryRecord] = []
    last_answer = ""
    skipped = 0
    for record in records:
        if not after_id < record.id < turn.id or record.id in current_ids:
            continue
        if not record.text.strip() or _is_fragment(record) or (kept and _is_same(record, kept[-1])):
            skipped += 1
            continue
        if record.role == "assistant":
            is_repeated = record.text == last_answer and len(record.text) > len(_SAME_ANSWER)
            last_answer = record.text
            if is_repeated:
                record = replace(record, text=_SAME_ANSWER)
        kept.append(record)
    return kept, skipped


def _is_fragment(record: HistoryRecord) -> bool:
    return record.status is not AnswerStatus.COMPLETE and len(record.text) < _FRAGMENT_CHARS


def _is_same(record: HistoryRecord, before: HistoryRecord) -> bool:
    """Whether a person sent one message twice."""
    return (
        record.role == before.role == "user"
        and record.author_id == before.author_id
        and record.text == before.text
    )


def _ids(records: Iterable[HistoryRecord]) -> frozenset[int]:
    """The messages that the records stand for."""
    return frozenset(i for record in records for i in (record.id, *record.message_ids))


def _images_of(turn: Turn) -> list[dict[str, Any]]:
    return [
        {"type": "image_url", "image_url": {"url": attachment.image_url}}
        for message in turn.messages
        for attachment in message.attachments
        if attachment.image_url
    ]


def _turn_text(turn: Turn, room: _Room | None, known_ids: frozenset[int]) -> str:
    """The turn as the model reads it, with all of its files."""
    known_ids |= {message.id for message in turn.messages}
    return "\n".join(
        _spoken(message.text, message.author_name, message.quote, room=room, known_ids=known_ids)
        + "".join(_file_text(attachment) for attachment in message.attachments)
        for message in turn.messages
    )


def _line_of(
    record: HistoryRecord, room: _Room | None, memory: PromptMemory, known_ids: frozenset[int]
) -> str:
    """A record as the model reads it: as it read when it was the current message."""
    if record.role == "assistant":
        return record.text + ("" if record.status is AnswerStatus.COMPLETE else " […]")
    _, about = memory.said_of.get(record.id, (0, ""))
    return about + _spoken(
        record.text, record.author_name, record.quote, room=room, known_ids=known_ids
    )


def _spoken(
    text: str, name: str, quote: Quote | None, *, room: _Room | None, known_ids: frozenset[int]
) -> str:
    """A message as the model reads it, with its speaker and what it replies to."""
    said = text if room is None else room.line_of(name, text)
    if quote is None or not quote.text:
        return said
    limit = _KNOWN_QUOTE_CHARS if quote.message_id in known_ids else _QUOTE_CHARS
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


def _alternating(messages: Iterable[ChatMessage]) -> list[ChatMessage]:
    """Neighbours of the same role become one message: strict chat templates refuse them."""
    result: list[ChatMessage] = []
    for message in messages:
        if result and result[-1]["role"] == message["role"]:
            before, content = result[-1]["content"], message["content"]
            if isinstance(content, str):
                content = f"{before}\n{content}"
            else:  # the current message, whose images come behind its text
                text, *images = content
                content = [{"type": "text", "text": f"{before}\n{text['text']}"}, *images]
            result[-1] = {"role": message["role"], "content": content}
        else:
            result.append(message)
    return result
