"""One answer of the model, whatever it takes: retries, the next endpoint, a continued half.

A fast model, when there is one, is asked once and before all others. What it fails to answer or
passes on goes to them as if it had never been asked.

A failed request that is followed by another one is logged here. The failure that ends the answer is
not: it is raised, or left in `error`, for whoever holds the conversation to log once.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

from services.llm.declining import Opening, may_decline
from services.llm.dialect import Dialect, Message, has_images
from services.llm.errors import (
    ConnectionLostError,
    ContentRefusedError,
    LLMError,
    RateLimitError,
    UnreachableError,
)
from services.llm.fallback import CONTINUE_INSTRUCTION, Joint
from services.llm.provider import Provider
from services.llm.reasoning import ReasoningFilter
from services.llm.wire import ResponseReader, Usage
from services.metrics import Metrics

log = logging.getLogger(__name__)

_RETRIES = 2
_RETRIES_BEFORE_FALLBACK = 1
_RETRIES_END_S = 20.0  # after this much time no retry begins
_BACKOFF_FIRST_S = 0.5
_BACKOFF_MAX_S = 4.0
_LONGEST_RETRY_AFTER_S = 5.0


class Finish(Enum):
    """How an answer ended."""

    COMPLETE = "complete"
    LENGTH = "length"  # the response's token limit
    CUT_OFF = "cut off"  # died in mid-stream and nobody could go on
    EMPTY = "empty"  # nothing, or only whitespace
    FILTERED = "filtered"  # the provider's content filter


_FINISHES = {
    "length": Finish.LENGTH,
    "max_tokens": Finish.LENGTH,
    "content_filter": Finish.FILTERED,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What all completions of a client share."""

    max_response_tokens: int
    temperature: float
    metrics: Metrics
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    running: set[asyncio.Task[None]]
    observes_ttft: bool = True  # somebody waits for the text


class _Declined(Exception):
    """The fast model leaves the answer to the main one; nothing was shown."""


class Completion(AsyncIterator[str]):
    """Text pieces as they arrive; reasoning is never among them. For one consumer.

    The request leaves when iteration begins. Iterating raises `LLMError` only while nothing was
    yielded; later failures end the iteration with `finish` CUT_OFF and `error` set. Cancelling the
    consumer ends the request; a consumer that stops reading early calls `aclose`, or uses the
    completion as an async context manager.

    Attributes:
        finish: None until the end, and after `aclose` before it.
        error: why it was cut off, or what was raised.
        model: label of the model that answered last.
        ttft_s: from the beginning of the iteration to the first text.
        usage: summed over the requests that reported it.
        requests: completion requests made.
        images_dropped: the model takes no images; the answer was made without them.
        escalated: the fast model passed the message on.
    """

    def __init__(
        self,
        *,
        providers: Sequence[Provider],
        messages: Sequence[Message],
        settings: Settings,
        partial_answer: str = "",
        fast: Provider | None = None,
    ) -> None:
        self.finish: Finish | None = None
        self.error: LLMError | None = None
        self.model = providers[0].label
        self.ttft_s: float | None = None
        self.usage: Usage | None = None
        self.requests = 0
        self.images_dropped = False
        self.escalated = False
        self._providers = providers
        self._fast = fast
        self._messages = messages
        self._settings = settings
        self._began_at = 0.0
        # Everything yielded or about to be, after what the answer begins with.
        self._text: list[str] = [partial_answer] if partial_answer else []
        self._ready: list[str] = []  # not yet taken by the consumer
        self._wake: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        if self._task is None and not self._closed:
            self._began_at = self._settings.clock()
            self._task = asyncio.create_task(self._run(), name="completion")
            self._settings.running.add(self._task)
            self._task.add_done_callback(self._settings.running.discard)
            self._task.add_done_callback(self._wake_consumer)
        while not self._ready:
            if self._task is None or self._task.done() or self._closed:
                if self.error is not None and not self._text:
                    raise self.error
                raise StopAsyncIteration
            self._wake = asyncio.get_running_loop().create_future()
            try:
                await self._wake
            except asyncio.CancelledError:
                await self.aclose()
                raise
        text = "".join(self._ready)
        self._ready.clear()
        return text

    async def aclose(self) -> None:
        """End the request at once. Does nothing after the end."""
        self._closed = True
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        self._ready.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def _wake_consumer(self, _: object = None) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _emit(self, text: str) -> None:
        if not self._text:
            text = text.lstrip()
        if not text:
            return
        if self.ttft_s is None:
            self.ttft_s = self._settings.clock() - self._began_at
            if self._settings.observes_ttft:
                self._settings.metrics.observe("llm_ttft_s", self.ttft_s)
        self._text.append(text)
        self._ready.append(text)
        self._wake_consumer()

    async def _run(self) -> None:
        try:
            await self._ask_in_order()
        except LLMError as error:
            self._fail(error)
        except Exception as error:
            log.exception("completion failed unexpectedly", extra={"model": self.model})
            self._fail(LLMError(type(error).__name__))

    def _fail(self, error: LLMError) -> None:
        self.error = error
        self.finish = Finish.CUT_OFF

    async def _ask_in_order(self) -> None:
        """Ask one endpoint after the other until the answer is complete.

        Raises:
            LLMError: nobody could; the first failure, or the one that cut the answer off.
        """
        waiting = deque(_in_order(self._providers))
        if self._fast is not None and not self._fast.breaker.is_resting:
            waiting.appendleft(self._fast)
        failure: LLMError | None = None
        last_to_speak: Provider | None = None
        resumed = False
        while waiting:
            provider = waiting.popleft()
            pieces_before = len(self._text)
            try:
                await self._ask(provider, is_last=not waiting)
                return
            except _Declined:
                self.escalated = True
                log.info("fast model passed a message on", extra={"model": provider.label})
            except LLMError as error:
                has_spoken = len(self._text) > pieces_before
                is_fast = provider is self._fast
                if has_spoken or (failure is None and not is_fast):
                    failure = error
                if isinstance(error, ContentRefusedError) and not is_fast:
                    break
                if has_spoken and not resumed:
                    last_to_speak = provider
                if not waiting and last_to_speak is not None:
                    waiting.append(last_to_speak)
                    last_to_speak, resumed = None, True
                if waiting:
                    self._log_failure(error, provider, next_model=waiting[0].label)
        assert failure is not None
        raise failure

    async def _ask(self, provider: Provider, *, is_last: bool) -> None:
        """Ask one endpoint, again where that may help and nothing has come yet."""
        retries = _RETRIES if is_last else _RETRIES_BEFORE_FALLBACK
        if provider is self._fast:
            retries = 0
        pieces_before = len(self._text)
        for attempt in range(1, retries + 2):
            try:
                await self._attempt(provider)
                provider.breaker.succeeded()
                return
            except _Declined:
                provider.breaker.succeeded()
                raise
            except LLMError as error:
                self._settings.metrics.count("llm_errors_total")
                wait_s = self._wait_before_retry(error, attempt)
                if error.counts_against_endpoint:
                    provider.breaker.failed(retry_after_s=_long_retry_after_s(error))
                if (
                    attempt > retries
                    or wait_s is None
                    or len(self._text) > pieces_before
                    or (not is_last and _is_better_left(provider, error))
                ):
                    raise
                self._log_failure(error, provider, attempt=attempt, retry_in_s=round(wait_s, 3))
                await self._settings.sleep(wait_s)

    def _wait_before_retry(self, error: LLMError, attempt: int) -> float | None:
        """Seconds to wait with full jitter; None when another try is not worth it."""
        if not error.retryable:
            return None
        most_s = min(_BACKOFF_MAX_S, _BACKOFF_FIRST_S * 2 ** (attempt - 1))
        if isinstance(error, ConnectionLostError) and attempt == 1:
            most_s = 0.0  # an idle connection that the server had just closed
        wait_s = random.uniform(0, most_s)
        if isinstance(error, RateLimitError) and error.retry_after_s is not None:
            if error.retry_after_s > _LONGEST_RETRY_AFTER_S:
                return None
            wait_s = error.retry_after_s + 0.1 * wait_s
        passed_s = self._settings.clock() - self._began_at
        return None if passed_s + wait_s > _RETRIES_END_S else wait_s

    async def _attempt(self, provider: Provider) -> None:
        """One request, and the same in other words where the server refuses the words."""
        await provider.find_model()
        self.model = provider.label
        dialect = provider.dialect
        messages = self._messages
        asks_fast = False
        if shown := "".join(self._text):
            messages = [
                *messages,
                {"role": "assistant", "content": shown},
                {"role": "user", "content": CONTINUE_INSTRUCTION},
            ]
        elif provider is self._fast:
            asks_fast = True
            messages = may_decline(messages)
        while True:
            body = dialect.body(
                model=provider.model,
                messages=messages,
                max_response_tokens=self._settings.max_response_tokens,
                temperature=self._settings.temperature,
            )
            self.images_dropped = not dialect.images and has_images(messages)
            pieces_before = len(self._text)
            try:
                beginning = Opening() if asks_fast else Joint(shown)
                await self._read_answer(provider, dialect, body, beginning)
                return
            except LLMError as error:
                lesson = None
                if len(self._text) == pieces_before:
                    lesson = dialect.learn(error, body)
                if lesson is None:
                    raise
                log.info(
                    "model parameter adapted", extra={"model": self.model, "parameter": lesson}
                )

    async def _read_answer(
        self,
        provider: Provider,
        dialect: Dialect,
        body: dict[str, Any],
        beginning: Joint | Opening,
    ) -> None:
        metrics = self._settings.metrics
        self.requests += 1
        metrics.count("llm_requests_total")
        reader = ResponseReader(secret=provider.secret)
        reasoning = ReasoningFilter(begins_inside=dialect.begins_inside_reasoning)
        try:
            async with aclosing(provider.complete(body, reader)) as texts:
                async for text in texts:
                    self._emit(beginning.push(reasoning.push(text)))
                    if isinstance(beginning, Opening) and beginning.is_declined:
                        raise _Declined
        finally:
            self._add_usage(reader.usage)
        self._emit(beginning.push(reasoning.flush()) + beginning.flush())
        if reasoning.stray_close:
            dialect.begins_inside_reasoning = True
        elif reasoning.began_outside:
            dialect.begins_inside_reasoning = False
        finish = _FINISHES.get(reader.finish_reason or "", Finish.COMPLETE)
        if not self._text and finish is not Finish.FILTERED:
            finish = Finish.EMPTY
        if not self._text and isinstance(beginning, Opening):
            raise _Declined
        self.finish = finish

    def _add_usage(self, usage: Usage | None) -> None:
        if usage is None:
            return
        self._settings.metrics.count("llm_prompt_tokens", usage.prompt_tokens)
        self._settings.metrics.count("llm_completion_tokens", usage.completion_tokens)
        self._settings.metrics.count("llm_cached_tokens", usage.cached_tokens)
        if self.usage is not None:
            usage = Usage(
                self.usage.prompt_tokens + usage.prompt_tokens,
                self.usage.completion_tokens + usage.completion_tokens,
                self.usage.cached_tokens + usage.cached_tokens,
            )
        self.usage = usage

    def _log_failure(self, error: LLMError, provider: Provider, **fields: object) -> None:
        log.warning(
            "model request failed",
            extra={
                "model": provider.label,
                "error": type(error).__name__,
                "status": error.status,
                "detail": error.detail,
                "text_shown": bool(self._text),
                **fields,
            },
        )


def _in_order(providers: Sequence[Provider]) -> list[Provider]:
    """Those that are not resting; when all are, the one whose rest ends first."""
    awake = [provider for provider in providers if not provider.breaker.is_resting]
    return awake or [min(providers, key=lambda provider: provider.breaker.rests_until)]


def _is_better_left(provider: Provider, error: LLMError) -> bool:
    """Whether another endpoint is asked at once rather than this one again."""
    return isinstance(error, UnreachableError) or provider.breaker.is_resting


def _long_retry_after_s(error: LLMError) -> float | None:
    if isinstance(error, RateLimitError) and error.retry_after_s is not None:
        return error.retry_after_s if error.retry_after_s > _LONGEST_RETRY_AFTER_S else None
    return None
