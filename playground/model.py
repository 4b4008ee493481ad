"""A scripted model: an OpenAI-compatible server on the loopback that says what it is told to.

What it sends, when, and how it fails is a `Script`; what it was asked is a `ModelCall`. Tokens are
paced against the moment the request arrived, so a late token never delays the ones after it.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from inspect import isawaitable
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web

_Response = TypeVar("_Response", bound=web.StreamResponse)

_CALLS_KEPT = 10_000
_SHUTDOWN_S = 0.01  # 0 would wait for ever
_REQUEST_BODY_MAX_BYTES = 64 * 1024 * 1024
_TOKEN = re.compile(r" ?[^\W\d_]{1,8}| ?\d{1,3}| ?[^\w\s]{1,3}|\n+|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class HttpError:
    """An error status with OpenAI's error object; `retry_after` is the header's text."""

    status: int
    message: str = "scripted error"
    code: str | None = None
    param: str | None = None
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class Hang:
    """Says nothing more after `after_tokens`; before the first, not even the status line."""

    after_tokens: int = 0


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Closes the socket after `after_tokens`; before the first, without a response."""

    after_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """`data: {"error": ...}` inside the stream after `after_tokens`."""

    after_tokens: int = 0
    message: str = "scripted error"
    code: str | int | None = None


@dataclass(frozen=True, slots=True)
class RawBody:
    """Status 200 with a body of one's own: garbage, an HTML page, a truncated object."""

    body: bytes
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class PlainJson:
    """Answers a streaming request with one finished JSON completion."""


Fault = HttpError | Hang | CloseConnection | ErrorEvent | RawBody | PlainJson


@dataclass(frozen=True, slots=True)
class Script:
    """One answer of the model.

    Args:
        tokens: the answer's pieces; none makes an empty answer.
        ttft_s: from the request's arrival to the first piece.
        tokens_per_s: None sends everything at once.
        reasoning: pieces sent as `reasoning_content` before the answer.
        usage: whether usage is reported when the request asks for it.
    """

    tokens: Sequence[str] = ()
    ttft_s: float = 0.0
    tokens_per_s: float | None = None
    reasoning: Sequence[str] = ()
    finish_reason: str | None = "stop"
    usage: bool = True
    fault: Fault | None = None

    @classmethod
    def of(cls, text: str, **options: Any) -> Script:
        """A script that says `text` in pieces the size of a real tokenizer's."""
        return cls(tokens=_TOKEN.findall(text), **options)


@dataclass(slots=True)
class ModelCall:
    """One completion request. Times are `time.monotonic()` seconds."""

    body: dict[str, Any]
    received_at: float
    client_port: int = 0  # equal for calls that came over one connection
    first_token_at: float | None = None
    finished_at: float | None = None
    disconnected: bool = False  # the client left before the answer was complete
    ended: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def messages(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.body["messages"]
        return messages

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))


ScriptSource = Script | Callable[[ModelCall], "Script | Awaitable[Script]"]


class _Model:
    """The two routes and what they have seen."""

    def __init__(self, script: ScriptSource, models: Sequence[str]) -> None:
        self.script = script
        self.models = tuple(models)
        self.calls: list[ModelCall] = []
        self.calls_total = 0
        self.unseen: deque[ModelCall] = deque(maxlen=_CALLS_KEPT)
        self.arrived = asyncio.Event()

    def application(self) -> web.Application:
        app = web.Application(client_max_size=_REQUEST_BODY_MAX_BYTES)
        app.router.add_get("/v1/models", self._list_models)
        app.router.add_post("/v1/chat/completions", self._complete)
        return app

    async def _list_models(self, request: web.Request) -> web.Response:
        data = [{"id": m, "object": "model", "created": 0, "owned_by": "me"} for m in self.models]
        return web.json_response({"object": "list", "data": data})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        received_at = time.monotonic()
        try:
            body = await request.json()
        except ValueError:
            return _error_response(HttpError(400, "the body is not JSON"))
        if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
            return _error_response(HttpError(400, "'messages' must be a list"))
        peer = request.transport.get_extra_info("peername") if request.transport else None
        call = ModelCall(body, received_at, client_port=peer[1] if peer else 0)
        self._record(call)
        try:
            made = self.script if isinstance(self.script, Script) else self.script(call)
            script = await made if isawaitable(made) else made
            return await _Answer(request, call, script).send()
        except asyncio.CancelledError:
            call.disconnected = call.finished_at is None
            raise
        except ConnectionError:  # the client has left; there is nobody to answer
            call.disconnected = call.finished_at is None
            return web.Response()
        finally:
            call.finished_at = call.finished_at or time.monotonic()
            call.ended.set()

    def _record(self, call: ModelCall) -> None:
        self.calls.append(call)
        del self.calls[:-_CALLS_KEPT]
        self.unseen.append(call)
        self.calls_total += 1
        self.arrived.set()
        self.arrived = asyncio.Event()


class _Answer:
    """One response on its way out."""

    def __init__(self, request: web.Request, call: ModelCall, script: Script) -> None:
        self._request = request
        self._call = call
        self._script = script
        model = json.dumps(call.model or "scripted")
        self._head = (
            f'data: {{"id":"chatcmpl-{id(call):x}","object":"chat.completion.chunk",'
            f'"created":{int(time.time())},"model":{model},"choices":['
        )

    async def send(self) -> web.StreamResponse:
        script, fault = self._script, self._script.fault
        if isinstance(fault, HttpError):
            await self._wait_until(script.ttft_s)
            return self._finished(_error_response(fault))
        if isinstance(fault, RawBody):
            await self._wait_until(script.ttft_s)
            return self._finished(web.Response(body=fault.body, content_type=fault.content_type))
        if isinstance(fault, PlainJson) or not self._call.body.get("stream"):
            await self._wait_until(
                script.ttft_s + len(script.tokens) / (script.tokens_per_s or 1e9)
            )
            return self._finished(web.json_response(self._completion()))
        if isinstance(fault, Hang | CloseConnection) and fault.after_tokens == 0:
            await self._wait_until(script.ttft_s)
            await self._give_up(fault)
            return self._finished(web.Response())
        return await self._stream()

    async def _stream(self) -> web.StreamResponse:
        script, fault = self._script, self._script.fault
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(self._request)
        tokens = list(script.tokens)
        if isinstance(fault, Hang | CloseConnection | ErrorEvent):
            tokens = tokens[: fault.after_tokens]
        pieces = [("reasoning_content", piece) for piece in script.reasoning]
        pieces += [("content", piece) for piece in tokens]
        async for due in self._paced(pieces):
            if self._call.first_token_at is None and due[-1][0] == "content":
                self._call.first_token_at = time.monotonic()
            await response.write("".join(self._delta(*piece) for piece in due).encode())
        if isinstance(fault, Hang | CloseConnection):
            await self._give_up(fault)
            return self._finished(response)
        await response.write("".join(self._closing_events(fault)).encode())
        await response.write_eof()
        return self._finished(response)

    async def _paced(self, pieces: list[tuple[str, str]]) -> AsyncIterator[list[tuple[str, str]]]:
        """The pieces that are due together, each batch at its time."""
        rate = self._script.tokens_per_s
        sent = 0
        while sent < len(pieces):
            await self._wait_until(self._script.ttft_s + (sent / rate if rate else 0.0))
            due = len(pieces)
            if rate:
                passed_s = time.monotonic() - self._call.received_at - self._script.ttft_s
                due = min(due, max(sent + 1, int(passed_s * rate) + 1))
            yield pieces[sent:due]
            sent = due

    def _delta(self, name: str, piece: str) -> str:
        choice = f'{{"index":0,"delta":{{"{name}":{json.dumps(piece)}}},"finish_reason":null}}'
        return f"{self._head}{choice}]}}\n\n"

    def _closing_events(self, fault: Fault | None) -> Iterator[str]:
        if isinstance(fault, ErrorEvent):
            error = {"message": fault.message, "type": "server_error", "code": fault.code}
            yield f"data: {json.dumps({'error': error})}\n\n"
            return
        reason = json.dumps(self._script.finish_reason)
        yield f'{self._head}{{"index":0,"delta":{{}},"finish_reason":{reason}}}]}}\n\n'
        options = self._call.body.get("stream_options") or {}
        if self._script.usage and options.get("include_usage"):
            yield f'{self._head}],"usage":{json.dumps(self._usage())}}}\n\n'
        yield "data: [DONE]\n\n"

    def _completion(self) -> dict[str, Any]:
        content = "".join(self._script.tokens)
        self._call.first_token_at = time.monotonic()
        return {
            "id": f"chatcmpl-{id(self._call):x}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": self._call.model or "scripted",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": content},
                    "finish_reason": self._script.finish_reason,
                }
            ],
            "usage": self._usage(),
        }

    def _usage(self) -> dict[str, int]:
        prompt = sum(len(str(message.get("content") or "")) for message in self._call.messages) // 4
        completion = len(self._script.tokens) + len(self._script.reasoning)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }

    async def _wait_until(self, offset_s: float) -> None:
        """Until `offset_s` after the request's arrival; at once when that is past."""
        left_s = self._call.received_at + offset_s - time.monotonic()
        if left_s > 0:
            await asyncio.sleep(left_s)

    async def _give_up(self, fault: Hang | CloseConnection) -> None:
        if isinstance(fault, Hang):
            await asyncio.Event().wait()
        self._call.finished_at = time.monotonic()
        if self._request.transport is not None:
            self._request.transport.close()

    def _finished(self, response: _Response) -> _Response:
        self._call.finished_at = time.monotonic()
        return response


def _error_response(error: HttpError) -> web.Response:
    headers = {} if error.retry_after is None else {"Retry-After": error.retry_after}
    body = {
        "message": error.message,
        "type": "invalid_request_error" if error.status < 500 else "server_error",
        "param": error.param,
        "code": error.code,
    }
    return web.json_response({"error": body}, status=error.status, headers=headers)


def model_app(script: ScriptSource, *, models: Sequence[str] = ("scripted",)) -> web.Application:
    """The server as an application with its routes under /v1, to be mounted by another."""
    return _Model(script, models).application()


class ModelServer:
    """The scripted model on a port of 127.0.0.1.

    Leaving the context drops the answers that are still on their way.
    """

    def __init__(
        self, script: ScriptSource, *, models: Sequence[str] = ("scripted",), port: int = 0
    ) -> None:
        self._model = _Model(script, models)
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def script(self) -> ScriptSource:
        return self._model.script

    @script.setter
    def script(self, script: ScriptSource) -> None:
        self._model.script = script

    @property
    def calls(self) -> list[ModelCall]:
        """The last 10,000 calls, oldest first."""
        return self._model.calls

    async def next_call(self) -> ModelCall:
        """The oldest call not yet returned here; waits for one when there is none."""
        while not self._model.unseen:
            await self._model.arrived.wait()
        return self._model.unseen.popleft()

    async def wait_for_calls(self, n: int) -> list[ModelCall]:
        """Wait until `n` calls have arrived since the start."""
        while self._model.calls_total < n:
            await self._model.arrived.wait()
        return self.calls

    async def __aenter__(self) -> Self:
        # A client that leaves cancels the handler, so that the call is marked at once.
        self._runner = web.AppRunner(
            self._model.application(),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=_SHUTDOWN_S,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
