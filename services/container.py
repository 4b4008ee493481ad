"""The services of one process, opened in order and closed in reverse."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Self

from services.history_store import HistoryStore
from services.llm import LLMClient
from services.metrics import Metrics
from services.responder import Responder
from services.rest_pacing import RestPacer


@dataclass(eq=False)
class Services:
    """Everything that cogs are built from. An async context manager."""

    metrics: Metrics
    pacer: RestPacer
    history: HistoryStore
    llm: LLMClient
    responder: Responder

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opened:
            await self.history.open()
            opened.push_async_callback(self.history.aclose)
            await opened.enter_async_context(self.llm)
            opened.push_async_callback(self.responder.aclose)
            self._opened = opened.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        # A cancelled shutdown still writes what it holds.
        await asyncio.shield(self._opened.aclose())
