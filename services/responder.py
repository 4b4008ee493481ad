"""The one brain behind text and voice: a Turn goes in, the answer's text comes out as it is made.

    answer = responder.respond(turn)
    async for piece in answer: ...
    await responder.remember(answer, text, ...)

The question is recorded beside the model's work; `answer.question_recorded` is awaited before
anything is shown, so what was answered is never missing from the history.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterable

from services.background import BackgroundTasks
from services.conversation import AnswerStatus, HistoryRecord, Turn
from services.history_store import HistoryStore
from services.llm import Completion, Finish, LLMClient, LLMError
from services.query_optimizer import QueryOptimizer, record_of

log = logging.getLogger(__name__)

_HISTORY_TIMEOUT_S = 1.0  # a hanging disk costs the memory of the conversation, not the answer
_BEHIND_REQUEST_S = 0.01  # the request to the model goes first


class Answer(AsyncIterator[str]):
    """One answer while it is made: an async iterator of text pieces.

    Iterating raises LLMError only when nothing has come yet. Afterwards `finish` says how the
    model ended and `error` why it was cut off.
    """

    def __init__(self, turn: Turn, responder: Responder) -> None:
        self.turn = turn
        self._responder = responder
        self.heard: list[str] = []  # what people said in this conversation, the turn included
        self._completion: Completion | None = None
        self._recorded: asyncio.Task[bool] | None = None

    async def __anext__(self) -> str:
        if self._completion is None:
            self._completion = await self._responder.begin(self)
        return await anext(self._completion)

    async def question_recorded(self, *, timeout_s: float) -> None:
        """Wait until the question is on disk; a disk that hangs holds nothing up for longer."""
        if self._recorded is not None:
            await asyncio.wait([self._recorded], timeout=timeout_s)

    async def aclose(self) -> None:
        """Stop the model's work at once."""
        if self._completion is not None:
            await self._completion.aclose()

    @property
    def finish(self) -> Finish | None:
        return self._completion.finish if self._completion else None

    @property
    def error(self) -> LLMError | None:
        return self._completion.error if self._completion else None

    @property
    def images_dropped(self) -> bool:
        return self._completion.images_dropped if self._completion else False

    def log_fields(self) -> dict[str, object]:
        """What an operator wants to know about this answer; no content."""
        fields: dict[str, object] = {
            "turn_id": self.turn.id,
            "conversation_id": self.turn.conversation_id,
            "messages": len(self.turn.messages),
        }
        if (done := self._completion) is not None:
            fields |= {"model": done.model, "requests": done.requests}
            if done.finish is not None:
                fields["finish"] = done.finish.value
            if done.ttft_s is not None:
                fields["llm_ttft_s"] = round(done.ttft_s, 3)
            if done.usage is not None:
                fields["prompt_tokens"] = done.usage.prompt_tokens
                fields["completion_tokens"] = done.usage.completion_tokens
        return fields


class Responder:
    """Turn → Answer. Knows the model and the history, not where the answer is shown."""

    def __init__(
        self, *, llm: LLMClient, history: HistoryStore, query_optimizer: QueryOptimizer
    ) -> None:
        self._llm = llm
        self._history = history
        self._query_optimizer = query_optimizer
        self._tasks = BackgroundTasks()

    async def aclose(self) -> None:
        await self._tasks.aclose(grace_s=2.0)

    def respond(self, turn: Turn) -> Answer:
        """The answer to a turn. Nothing is sent before its first `anext`."""
        return Answer(turn, self)

    async def begin(self, answer: Answer) -> Completion:
        """Build the prompt and start to record the question; the request leaves on first read."""
        turn = answer.turn
        records = await self._recent(turn.conversation_id)
        messages = self._query_optimizer.build(turn, records)
        answer.heard = [record.text for record in records if record.role == "user"]
        for message in turn.messages:
            answer.heard += [message.text, message.quote.text if message.quote else ""]
        answer._recorded = self._tasks.start(self._record_question(turn), name="record-question")
        return self._llm.stream(messages, partial_answer=turn.partial_answer)

    async def _recent(self, conversation_id: int) -> list[HistoryRecord]:
        try:
            async with asyncio.timeout(_HISTORY_TIMEOUT_S):
                return await self._history.recent(conversation_id)
        except TimeoutError:
            log.error(
                "history does not answer, going without",
                extra={"conversation_id": conversation_id},
            )
            return []

    async def _record_question(self, turn: Turn) -> bool:
        await asyncio.sleep(_BEHIND_REQUEST_S)
        return await self._history.append(turn.conversation_id, *map(record_of, turn.messages))

    async def remember(
        self, turn: Turn, text: str, status: AnswerStatus, message_ids: Iterable[int]
    ) -> None:
        """Record an answer, or what has become of one that is already recorded."""
        record = HistoryRecord(
            id=turn.id,
            role="assistant",
            at=time.time(),
            text=text,
            answers=tuple(message.id for message in turn.messages),
            message_ids=tuple(message_ids),
            status=status,
        )
        await self._history.append(turn.conversation_id, record)
