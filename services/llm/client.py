"""The model client: every request to a model leaves through here.

One connection pool for all endpoints, kept warm: an idle connection lives long enough for the next
message of a conversation, so that a turn pays no TCP and TLS handshake.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

import httpx2
import openai

from services.llm.completion import Completion, Settings
from services.llm.dialect import Message
from services.llm.endpoint import ModelEndpoint
from services.llm.errors import LLMError
from services.llm.provider import Provider
from services.metrics import Metrics

log = logging.getLogger(__name__)

_KEEP_ALIVE_S = 300.0
_WARM_S = 30.0  # servers and proxies drop idle connections sooner than we do
_CONNECT_TIMEOUT_S = 10.0
_MAX_CONNECTIONS = 500


class LLMClient:
    """Streams completions from the first endpoint that can give one.

    Args:
        endpoints: in the order in which they are tried; the first is the primary.
        timeout_s: to the first token, and between two tokens.
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
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not endpoints:
            raise ValueError("at least one endpoint is needed")
        self._endpoints = endpoints
        self._timeout_s = timeout_s
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
        self._warm_until = float("-inf")

    async def open(self) -> None:
        self._http = openai.DefaultAioHttpClient(
            timeout=httpx2.Timeout(None, connect=min(_CONNECT_TIMEOUT_S, self._timeout_s)),
            limits=httpx2.Limits(max_connections=_MAX_CONNECTIONS, keepalive_expiry=_KEEP_ALIVE_S),
        )
        self._providers = [
            Provider(
                endpoint,
                http_client=self._http,
                timeout_s=self._timeout_s,
                clock=self._settings.clock,
            )
            for endpoint in self._endpoints
        ]

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

    def stream(self, messages: Sequence[Message], *, partial_answer: str = "") -> Completion:
        """An answer to `messages`; nothing is sent before it is iterated.

        Args:
            partial_answer: how the answer begins; what is yielded goes on from there.
        """
        self._warm_until = self._settings.clock() + _WARM_S
        return Completion(
            providers=self._providers,
            messages=messages,
            partial_answer=partial_answer,
            settings=self._settings,
        )

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

    def set_model(self, name: str) -> None:
        """Use another model of the primary from the next completion on."""
        self._primary.use_model(name)

    @property
    def _primary(self) -> Provider:
        return self._providers[0]
