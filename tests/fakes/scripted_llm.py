"""A model that says what its script says, when it says so.

A script is a row of steps: a text piece, a delay in seconds, or an error to be raised.

    ScriptedLLM([0.4, "Hello ", 0.02, "there."], [TimedOutError("…")])
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

from services.llm import Finish, LLMError, Route, Usage, Written

Step = str | float | Exception


async def scripted(*steps: Step) -> AsyncIterator[str]:
    """The steps as a stream of text pieces."""
    for step in steps:
        if isinstance(step, str):
            yield step
        elif isinstance(step, Exception):
            raise step
        else:
            await asyncio.sleep(step)


class ScriptedCompletion(AsyncIterator[str]):
    """One answer; has what the Responder reads of `services.llm.Completion`."""

    def __init__(self, steps: Sequence[Step], finish: Finish) -> None:
        self.finish: Finish | None = None
        self.error: LLMError | None = None
        self.model = "scripted"
        self.ttft_s: float | None = None
        self.usage: Usage | None = None
        self.requests = 1
        self.images_dropped = False
        self.escalated = False
        self.is_closed = False
        self._finish = finish
        self._pieces = scripted(*steps)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            self.finish = self._finish
            raise

    async def aclose(self) -> None:
        self.is_closed = True


class ScriptedLLM:
    """Answers each request with the next script; the last one serves for all that follow.

    Args:
        writes: what `write` returns, in turn, an error to be raised among them.

    Attributes:
        routes, temperatures: what each request was asked with.
        write_requests: the messages of each call of `write`.
    """

    def __init__(
        self,
        *scripts: Sequence[Step],
        finish: Finish = Finish.COMPLETE,
        writes: Sequence[str | Exception] = (),
        writer: str = "scripted",
    ) -> None:
        self.writer = writer
        self.label = "scripted"
        self._scripts = list(scripts)
        self._writes = list(writes)
        self._finish = finish
        self.requests: list[Sequence[dict[str, Any]]] = []
        self.routes: list[Route] = []
        self.temperatures: list[float | None] = []
        self.completions: list[ScriptedCompletion] = []
        self.write_requests: list[Sequence[dict[str, Any]]] = []

    def stream(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        partial_answer: str = "",
        route: Route = Route.MAIN,
        temperature: float | None = None,
    ) -> ScriptedCompletion:
        script = self._scripts[min(len(self.requests), len(self._scripts) - 1)]
        self.requests.append(messages)
        self.routes.append(route)
        self.temperatures.append(temperature)
        self.completions.append(ScriptedCompletion(script, self._finish))
        return self.completions[-1]

    async def write(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        max_response_tokens: int,
        temperature: float = 0.2,
    ) -> Written:
        text = self._writes[min(len(self.write_requests), len(self._writes) - 1)]
        self.write_requests.append(messages)
        await asyncio.sleep(0)
        if isinstance(text, Exception):
            raise text
        return Written(text, self.writer, None, is_complete=True)
