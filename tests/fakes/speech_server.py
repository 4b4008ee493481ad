"""An OpenAI-compatible `/audio/speech` that spells in tones, as slowly as it is told to."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from tests.fakes.scripted_speech import SPOKEN_HZ, spell, spoken_s

_PIECE_S = 0.1


@dataclass(slots=True)
class Asked:
    """One synthesis."""

    text: str
    at: float  # time.monotonic() of the request
    first_sound_at: float | None = None


@dataclass
class SpeechServer:
    """Serves on the loopback.

    Args:
        real_time_factor: time to make a sound ÷ its length.
        streams: whether sound comes while it is made; else all of it at the end, as from most
            local models.
        fails_after: how many syntheses go well; the next ones break off in their middle.
    """

    real_time_factor: float = 0.0
    streams: bool = False
    fails_after: int | None = None
    asked: list[Asked] = field(default_factory=list)
    base_url: str = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/audio/speech", self._speak)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        # One synthesis at a time, as on one machine.
        self._one = asyncio.Lock()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._runner.cleanup()

    @property
    def settings(self) -> dict[str, str]:
        """What makes a bot speak through it."""
        return {"TTS_PROVIDER": "openai", "TTS_OPENAI_BASE_URL": self.base_url}

    async def _speak(self, request: web.Request) -> web.StreamResponse:
        body: dict[str, Any] = await request.json()
        asked = Asked(body["input"], time.monotonic())
        self.asked.append(asked)
        sound = b"".join(spell(asked.text))
        is_failing = self.fails_after is not None and len(self.asked) > self.fails_after
        if is_failing:
            sound = sound[: len(sound) // 4 * 2]
        response = web.StreamResponse(headers={"Content-Type": f"audio/pcm;rate={SPOKEN_HZ}"})
        async with self._one:
            due_s = time.monotonic()
            step = round(_PIECE_S * SPOKEN_HZ) * 2
            if not self.streams:
                due_s += self.real_time_factor * spoken_s(asked.text)
                await asyncio.sleep(due_s - time.monotonic())
                step = max(len(sound), 1)
            await response.prepare(request)
            for start in range(0, len(sound), step):
                if self.streams:
                    due_s += self.real_time_factor * _PIECE_S
                    await asyncio.sleep(due_s - time.monotonic())
                asked.first_sound_at = asked.first_sound_at or time.monotonic()
                await response.write(sound[start : start + step])
        if is_failing:
            assert request.transport is not None
            request.transport.abort()
            return response
        await response.write_eof()
        return response
