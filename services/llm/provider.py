"""One endpoint at run time: its connection, what its models accept, and whether it is resting."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import httpx2
import openai

from services.llm.dialect import Dialect, has_images
from services.llm.endpoint import OPENAI_BASE_URL, ModelEndpoint
from services.llm.errors import (
    AuthenticationError,
    ConnectionLostError,
    LLMError,
    MalformedResponseError,
    ResponseTimeoutError,
    UnknownModelError,
    UnreachableError,
    error_from_response,
)
from services.llm.fallback import CircuitBreaker
from services.llm.wire import ResponseReader

_NO_KEY = "none"
_REST_OF_RESPONSE_S = 0.1  # reading to its end lets the connection be used again
_AFTER_FINISH_S = 2.0  # usage and [DONE] come right behind the finish reason
_HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity"}


class Provider:
    """Sends requests to one endpoint and speaks of failures in `LLMError`s."""

    def __init__(
        self,
        endpoint: ModelEndpoint,
        *,
        http_client: httpx2.AsyncClient,
        timeout_s: float,
        clock: Callable[[], float],
    ) -> None:
        self.breaker = CircuitBreaker(clock)
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._dialects: dict[str, Dialect] = {}
        self._model_lock = asyncio.Lock()
        self._client = openai.AsyncOpenAI(
            api_key=endpoint.api_key or _NO_KEY,
            base_url=endpoint.base_url or OPENAI_BASE_URL,
            http_client=http_client,
            max_retries=0,
        )

    @property
    def model(self) -> str:
        """The model's name; "" until the server was asked for its first."""
        return self._endpoint.model

    @model.setter
    def model(self, name: str) -> None:
        self._endpoint = replace(self._endpoint, model=name)

    def use_model(self, name: str) -> None:
        """Another model of the same server; a new one gets a new chance."""
        self.model = name
        self.breaker.succeeded()

    @property
    def label(self) -> str:
        return self._endpoint.label

    @property
    def secret(self) -> str:
        return self._endpoint.api_key

    @property
    def dialect(self) -> Dialect:
        """What is known of the current model."""
        dialect = self._dialects.get(self.model)
        if dialect is None:
            dialect = self._dialects[self.model] = Dialect(
                max_tokens_name="max_tokens" if self._endpoint.base_url else "max_completion_tokens"
            )
        return dialect

    async def find_model(self) -> None:
        """Settle on the server's first model when none is set."""
        if self.model:
            return
        async with self._model_lock:
            if not self._endpoint.model:
                self.model = await self._first_model()

    async def _first_model(self) -> str:
        models = await self.list_models()
        if not models:
            raise UnknownModelError("the server lists no model")
        return next((name for name in models if "embed" not in name), models[0])

    async def list_models(self) -> list[str]:
        """The server's models by name, in its order."""
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._client.get("/models", cast_to=httpx2.Response)
        except Exception as error:
            raise self._as_llm_error(error) from error
        try:
            return [str(model["id"]) for model in response.json()["data"]]
        except (ValueError, KeyError, TypeError) as error:
            raise MalformedResponseError("no list of models") from error

    async def complete(
        self, body: dict[str, Any], reader: ResponseReader
    ) -> AsyncGenerator[str, None]:
        """Send one request; its text as it arrives. `reader` holds what else came.

        Closing the iterator closes the connection, so that the server stops at once.
        """
        loop = asyncio.get_running_loop()
        response: httpx2.Response | None = None
        try:
            content = await _encode(body)
            deadline = loop.time() + self._timeout_s
            async with asyncio.timeout_at(deadline):
                response = await self._post(content)
            chunks = response.aiter_bytes()
            while not reader.done:
                async with asyncio.timeout_at(deadline):
                    chunk = await anext(chunks, None)
                text = reader.finish() if chunk is None else reader.feed(chunk)
                if text:
                    yield text
                if reader.error is not None and reader.finish_reason is None:
                    raise reader.error
                if chunk is None:
                    break
                if reader.finish_reason is not None:
                    deadline = min(deadline, loop.time() + _AFTER_FINISH_S)
                elif reader.advanced:
                    deadline = loop.time() + self._timeout_s
            if chunk is not None:
                await _read_to_end(chunks)
            elif reader.finish_reason is None and not reader.done:
                raise ConnectionLostError("the stream ended before the answer did")
        except Exception as error:
            if reader.finish_reason is None and not reader.done:
                raise self._as_llm_error(error) from error
        finally:
            if response is not None:
                await response.aclose()

    async def _post(self, content: bytes) -> httpx2.Response:
        # The raw response: building typed chunks costs four times the CPU of reading them.
        response = await self._client.post(
            "/chat/completions",
            cast_to=httpx2.Response,
            content=content,
            options={"headers": _HEADERS},
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )
        return cast(httpx2.Response, response)

    def _as_llm_error(self, error: Exception) -> LLMError:
        if isinstance(error, LLMError):
            return error
        if isinstance(error, openai.APIStatusError):
            return error_from_response(
                status=error.status_code,
                body=error.body,
                headers=error.response.headers,
                secret=self._endpoint.api_key,
            )
        if isinstance(error, TimeoutError):
            return ResponseTimeoutError(f"no token within {self._timeout_s:g} s")
        for cause in _causes(error):
            if isinstance(cause, ssl.SSLError | ssl.CertificateError):
                unreachable = UnreachableError(f"TLS: {cause.reason or type(cause).__name__}")
                unreachable.retryable = False
                return unreachable
            if isinstance(cause, socket.gaierror):
                return UnreachableError("the host name is not known")
            if isinstance(cause, _CONNECTION_BROKE):
                return ConnectionLostError(type(cause).__name__)
            if isinstance(cause, OSError | TimeoutError):
                return UnreachableError(type(cause).__name__)
        if isinstance(error, UnicodeEncodeError):
            return AuthenticationError("the key has characters that no key has")
        return ConnectionLostError(type(error.__cause__ or error).__name__)


_CONNECTION_BROKE = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The innermost cause first: the outer ones say less and less truly what happened."""
    chain: list[BaseException] = []
    while error is not None:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return reversed(chain)


async def _encode(body: dict[str, Any]) -> bytes:
    if has_images(body["messages"]):  # megabytes
        return (await asyncio.to_thread(json.dumps, body)).encode()
    return json.dumps(body).encode()


async def _read_to_end(chunks: AsyncIterator[bytes]) -> None:
    try:
        async with asyncio.timeout(_REST_OF_RESPONSE_S):
            async for _ in chunks:
                pass
    except (TimeoutError, httpx2.HTTPError):
        pass  # the answer is complete; this connection is not kept
