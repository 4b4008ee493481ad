"""The one brain behind text and voice: a Turn goes in, the answer's text comes out as it is made.

    answer = responder.respond(turn)
    async for piece in answer: ...
    await responder.remember(answer, text, ...)

The question is recorded beside the model's work; `answer.question_recorded` is awaited before
anything is shown, so what was answered is never missing from the history.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable

from services.background import BackgroundTasks
from services.context import Context, Prepared
from services.conversation import AnswerStatus, HistoryRecord, Turn
from services.history_store import HistoryStore
from services.llm import Completion, Finish, LLMClient, LLMError, Route, RoutingDecision, route
from services.profile_learner import ProfileLearner
from services.query_optimizer import record_of
from services.tokens import TokenCounter
from services.usage import UsageStore

_BEHIND_REQUEST_S = 0.01  # the request to the model goes first


class Answer(AsyncIterator[str]):
    """One answer while it is made: an async iterator of text pieces.

    Iterating raises LLMError only when nothing has come yet. Afterwards `finish` says how the
    model ended and `error` why it was cut off.
    """

    def __init__(self, turn: Turn, responder: Responder) -> None:
        self.turn = turn
        self.text = ""  # what came so far
        self.is_seen = False  # somebody was shown something; set before `aclose`
        self._responder = responder
        self._prepared: Prepared | None = None
        self._routing: RoutingDecision | None = None
        self._completion: Completion | None = None
        self._recorded: asyncio.Task[bool] | None = None
        self._is_settled = False

    async def __anext__(self) -> str:
        if self._completion is None:
            self._completion = await self._responder.begin(self)
        piece = await anext(self._completion)
        self.text += piece
        return piece

    async def question_recorded(self, *, timeout_s: float) -> None:
        """Wait until the question is on disk; a disk that hangs holds nothing up for longer."""
        if self._recorded is not None:
            await asyncio.wait([self._recorded], timeout=timeout_s)

    async def aclose(self) -> None:
        """Stop the model's work at once; what it was good for is counted and learned from."""
        if self._completion is not None:
            await self._completion.aclose()
            if not self._is_settled:
                self._is_settled = True
                self._responder.settle(self)

    @property
    def heard(self) -> list[str]:
        """What people said in this conversation, the turn included."""
        return self._prepared.heard if self._prepared else []

    @property
    def unread(self) -> str:
        """A sentence on what of the question the model did not see, "" when it saw all of it."""
        return self._prepared.prompt.unread if self._prepared else ""

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
        if self._routing is not None:
            fields |= {"route": self._routing.route.value, "route_reason": self._routing.reason}
        if (done := self._completion) is not None:
            fields |= {"model": done.model, "requests": done.requests}
            if done.finish is not None:
                fields["finish"] = done.finish.value
            if done.ttft_s is not None:
                fields["llm_ttft_s"] = round(done.ttft_s, 3)
            if done.escalated:
                fields["escalated"] = True
            if done.usage is not None:
                fields["prompt_tokens"] = done.usage.prompt_tokens
                fields["cached_tokens"] = done.usage.cached_tokens
                fields["completion_tokens"] = done.usage.completion_tokens
        return fields


class Responder:
    """Turn → Answer. Knows the model and the memory, not where the answer is shown.

    Args:
        routes: whether there is a fast model to route to.
        is_paused: whether nothing of a person is to be kept, by user id.
    """

    def __init__(
        self,
        *,
        llm: LLMClient,
        history: HistoryStore,
        context: Context,
        counter: TokenCounter,
        learner: ProfileLearner,
        usage: UsageStore,
        routes: bool,
        is_paused: Callable[[int], bool] = lambda user_id: False,
    ) -> None:
        self._llm = llm
        self._history = history
        self._context = context
        self._counter = counter
        self._learner = learner
        self._usage = usage
        self._routes = routes
        self._is_paused = is_paused
        self._tasks = BackgroundTasks()

    async def aclose(self) -> None:
        await self._tasks.aclose(grace_s=2.0)

    def respond(self, turn: Turn) -> Answer:
        """The answer to a turn. Nothing is sent before its first `anext`."""
        return Answer(turn, self)

    async def begin(self, answer: Answer) -> Completion:
        """Build the prompt and start to record the question; the request leaves on first read."""
        turn = answer.turn
        answer._prepared = prepared = await self._context.prepare(turn)
        answer._recorded = self._tasks.start(self._record_question(turn), name="record-question")
        if not self._routes:
            return self._llm.stream(
                prepared.prompt.messages,
                partial_answer=turn.partial_answer,
                temperature=prepared.persona.temperature,
            )
        answer._routing = _routing_of(turn)
        return self._llm.stream(
            prepared.prompt.messages,
            partial_answer=turn.partial_answer,
            temperature=prepared.persona.temperature,
            route=answer._routing.route,
        )

    def settle(self, answer: Answer) -> None:
        """An answer has ended, one way or another: count it, learn from it, sum up."""
        turn, done, prepared = answer.turn, answer._completion, answer._prepared
        if done is None or prepared is None or not done.requests:
            return
        prompt_tokens, cached_tokens = prepared.prompt.tokens, 0
        completion_tokens = self._counter.count(answer.text)
        if done.usage is not None:
            is_of_main_model = done.requests == 1 and done.model == self._llm.label
            if is_of_main_model and not turn.partial_answer:
                self._counter.correct(counted=prompt_tokens, reported=done.usage.prompt_tokens)
            prompt_tokens, cached_tokens = done.usage.prompt_tokens, done.usage.cached_tokens
            completion_tokens = done.usage.completion_tokens
        self._usage.record(
            user_id=turn.author_id,
            guild_id=turn.guild_id,
            answers=int(answer.is_seen),
            model=done.model,
            prompt_tokens=prompt_tokens,
            cached_tokens=cached_tokens,
            completion_tokens=completion_tokens,
        )
        if not answer.text or not answer.is_seen:
            return
        self._context.answered(turn.conversation_id)
        if not self._is_paused(turn.author_id):
            for message in turn.messages:
                self._learner.heard(message, guild_id=turn.guild_id)

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


def _routing_of(turn: Turn) -> RoutingDecision:
    """Where a turn goes. Somebody else's message that it replies to decides as well."""
    if turn.is_anew:
        return RoutingDecision(Route.MAIN, "again")
    texts = [message.text for message in turn.messages]
    texts += [m.quote.text for m in turn.messages if m.quote and m.quote.author_name != "you"]
    attachments = [a for message in turn.messages for a in message.attachments]
    return route(
        "\n".join(texts),
        has_images=any(a.image_url for a in attachments),
        has_files=any(a.text for a in attachments),
    )
