"""The model client: every request to a model leaves through here.

One connection pool for all endpoints, kept warm: an idle connection lives long enough for the next
message of a conversation, so that a turn pays no TCP and TLS handshake.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import httpx2
import openai

from services.llm.completion import Completion, Finish, Settings
from services.llm.dialect import Message
from services.llm.endpoint import ModelEndpoint
from services.llm.errors import ConnectionLostError, LLMError
from services.llm.provider import Provider
from services.llm.routing import Route
from services.llm.wire import Usage
from services.metrics import Metrics

log = logging.getLogger(__name__)

_KEEP_ALIVE_S = 300.0
_WARM_S = 30.0  # servers and proxies drop idle connections sooner than we do
_CONNECT_TIMEOUT_S = 10.0
_MAX_CONNECTIONS = 500
_WRITES_AT_ONCE = 2  # a local server answers few requests at a time, and people's go first
_FAST_TIMEOUT_S = 10.0  # a fast model that takes longer is none


@dataclass(frozen=True, slots=True)
class Written:
    """A text that nobody waited for.

    Args:
        text: "" when the model had nothing to say.
        model: label of the model that wrote it.
        is_complete: neither empty nor ended by a limit or a filter.
    """

    text: str
    model: str
    usage: Usage | None
    is_complete: bool


class LLMClient:
    """Streams completions from the first endpoint that can give one.

    Args:
        endpoints: in the order in which they are tried; the first is the primary.
        timeout_s: to the first token, and between two tokens; the fast model gets 10 s at most.
        fast_model: a model of the primary's server for easy messages; "" for none.
        summary_model: one for `write`; "" takes the fast one, else the primary's.
        on_written: told of every text that `write` made.
        clock, sleep: for tests that cannot wait.
    """

    def __init__(
        self,
        *,
        endpoints: Sequence[ModelEndpoint],
        timeout_s: float,
        max_response_tokens: int,
        temperature: float,
        metrics: Metrics,
        fast_model: str = "",
        summary_model: str = "",
        on_written: Callable[[Written], None] = lambda written: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not endpoints:
            raise ValueError("at least one endpoint is needed")
        self._endpoints = endpoints
        self._timeout_s = timeout_s
        self._fast_model = fast_model
        # In the order in which `write` asks them, before the endpoints.
        self._writing_models = list(dict.fromkeys(filter(None, (summary_model, fast_model))))
        self._on_written = on_written
        self._writing = asyncio.Semaphore(_WRITES_AT_ONCE)
        self._running: set[asyncio.Task[None]] = set()
        self._settings = Settings(
            max_response_tokens=max_response_tokens,
            temperature=temperature,
            metrics=metrics,
            clock=clock,
            sleep=sleep,
            running=self._running,
        )
        self._http: httpx2.AsyncClient | None = None
        self._providers: list[Provider] = []
        self._fast: Provider | None = None
        self._writers: list[Provider] = []
        self._warm_until = float("-inf")

    async def open(self) -> None:
        self._http = openai.DefaultAioHttpClient(
            timeout=httpx2.Timeout(None, connect=min(_CONNECT_TIMEOUT_S, self._timeout_s)),
            limits=httpx2.Limits(max_connections=_MAX_CONNECTIONS, keepalive_expiry=_KEEP_ALIVE_S),
        )
        self._providers = [self._provider(endpoint) for endpoint in self._endpoints]
        primary = self._endpoints[0]
        if self._fast_model:
            self._fast = self._provider(
                replace(primary, model=self._fast_model),
                timeout_s=min(_FAST_TIMEOUT_S, self._timeout_s),
            )
        # Apart from the fast one: long prompts take longer, and their failures rest no chat.
        self._writers = [
            self._provider(replace(primary, model=model)) for model in self._writing_models
        ]

    def _provider(self, endpoint: ModelEndpoint, *, timeout_s: float | None = None) -> Provider:
        assert self._http is not None
        return Provider(
            endpoint,
            http_client=self._http,
            timeout_s=timeout_s or self._timeout_s,
            clock=self._settings.clock,
        )

    async def aclose(self) -> None:
        """End the completions that still run, then close the connections."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def stream(
        self,
        messages: Sequence[Message],
        *,
        partial_answer: str = "",
        route: Route = Route.MAIN,
        temperature: float | None = None,
    ) -> Completion:
        """An answer to `messages`; nothing is sent before it is iterated.

        Args:
            partial_answer: how the answer begins; what is yielded goes on from there, by the
                main model whatever the route.
            route: whether the fast model, if there is one, is asked first.
            temperature: None takes the client's.
        """
        self._warm_until = self._settings.clock() + _WARM_S
        settings = self._settings
        if temperature is not None:
            settings = replace(settings, temperature=temperature)
        is_fast = route is Route.FAST and not partial_answer and self._fast_model != self.model
        return Completion(
            providers=self._providers,
            messages=messages,
            partial_answer=partial_answer,
            settings=settings,
            fast=self._fast if is_fast else None,
        )

    async def write(
        self,
        messages: Sequence[Message],
        *,
        max_response_tokens: int,
        temperature: float = 0.2,
    ) -> Written:
        """A text for the bot's own use: a summary, a list of facts.

        Asked are the summary model, the fast one, and then the endpoints as for an answer.
        Cancelling ends the request.

        Raises:
            LLMError: nobody could write it to an end, or the client was closed meanwhile.
        """
        self._warm_until = self._settings.clock() + _WARM_S
        settings = replace(
            self._settings,
            max_response_tokens=max_response_tokens,
            temperature=temperature,
            observes_ttft=False,
        )
        writers = [writer for writer in self._writers if writer.model != self.model]
        async with (
            self._writing,
            Completion(
                providers=[*writers, *self._providers], messages=messages, settings=settings
            ) as completion,
        ):
            text = "".join([piece async for piece in completion])
        if completion.error is not None:
            raise completion.error
        if completion.finish is None:
            raise ConnectionLostError("the client was closed")
        written = Written(
            text.strip(),
            completion.model,
            completion.usage,
            is_complete=completion.finish is Finish.COMPLETE,
        )
        self._on_written(written)
        return written

    @property
    def writer(self) -> str:
        """The model that `write` asks first; "" while the server has not been asked for it."""
        return self._writing_models[0] if self._writing_models else self.model

    async def warm_up(self) -> None:
        """Have a connection to the primary ready. Never raises; at most one request in 30 s."""
        now = self._settings.clock()
        if now < self._warm_until:
            return
        self._warm_until = now + _WARM_S
        try:
            if self.model:
                await self._primary.list_models()
            else:
                await self._primary.find_model()
        except LLMError as error:
            log.debug("model not warmed up", extra={"error": type(error).__name__})

    async def list_models(self) -> list[str]:
        """The primary's models by name.

        Raises:
            LLMError: it could not be asked.
        """
        return await self._primary.list_models()

    @property
    def model(self) -> str:
        """The primary's model; "" while the server has not been asked for its first."""
        return self._primary.model

    @property
    def label(self) -> str:
        """The primary's model as `Completion.model` names it."""
        return self._primary.label

    def set_model(self, name: str) -> None:
        """Use another model of the primary from the next completion on."""
        self._primary.use_model(name)

    @property
    def _primary(self) -> Provider:
        return self._providers[0]
