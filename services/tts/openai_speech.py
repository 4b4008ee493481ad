"""Speech from any OpenAI-compatible `/audio/speech`, heard while it arrives.

Asked for is `response_format: pcm`: 24 kHz, int16, mono, without a header; another rate is read
from the content type (`audio/pcm;rate=22050`). One client with a long keep-alive, so that a
sentence pays no TCP and TLS handshake.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import openai

from services.llm.endpoint import OPENAI_BASE_URL
from services.llm.errors import retry_after_s
from services.tts.provider import (
    MalformedSpeechError,
    PcmChunk,
    SpeechCreditError,
    SpeechCutError,
    SpeechKeyRefusedError,
    SpeechRateLimitError,
    SpeechRefusedError,
    SpeechServerError,
    SpeechTimeoutError,
    SpeechUnavailableError,
    SpeechUnreachableError,
    TTSError,
    UnknownVoiceError,
)

_RATE_HZ = 24_000
_KEEP_ALIVE_S = 300.0
_MAX_CONNECTIONS = 50
_CONNECT_TIMEOUT_S = 5.0
_CHARS_PER_S = 15.0
_ERROR_MAX_BYTES = 64 * 1024
_SLOWEST, _FASTEST = 0.25, 4.0  # what the API accepts

_NOT_PCM = (b"RIFF", b"ID3", b"OggS", b"fLaC", b"\xff\xfb", b"<!DO", b"<htm", b'{"')
_MAGIC_BYTES = 4
_RATE = re.compile(r"\brate=(\d{4,6})\b")


class OpenAISpeech:
    """Speaks through a server.

    Args:
        base_url: "" is OpenAI's.
        api_key: "" for servers that want none.
        default_voice: for whoever has not chosen one.
        first_sound_timeout_s: from the request to the first sound, beyond what saying it takes.
        next_sound_timeout_s: between two pieces of it.
    """

    name = "openai"
    level_dbfs = -22.0  # a guess, corrected by what is heard
    voices = (
        *("alloy", "ash", "ballad", "coral", "echo", "fable"),
        *("nova", "onyx", "sage", "shimmer", "verse"),
    )

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = "",
        model: str = "gpt-4o-mini-tts",
        default_voice: str = "alloy",
        first_sound_timeout_s: float = 10.0,
        next_sound_timeout_s: float = 5.0,
    ) -> None:
        self._url = f"{(base_url or OPENAI_BASE_URL).rstrip('/')}/audio/speech"
        self._api_key = api_key
        self._model = model
        self._default_voice = default_voice
        self._first_sound_timeout_s = first_sound_timeout_s
        self._next_sound_timeout_s = next_sound_timeout_s
        self._http: httpx2.AsyncClient | None = None

    @property
    def version(self) -> str:
        """The server and its model; of the address without what may be secret in it."""
        return f"{self._model} at {self.host}/{self._default_voice}"

    @property
    def host(self) -> str:
        """Where the text goes."""
        return httpx2.URL(self._url).host

    @property
    def is_ready(self) -> bool:
        return self._http is not None

    def prepare(self) -> None:
        """Nothing to load."""

    async def open(self) -> None:
        self._http = openai.DefaultAioHttpClient(
            timeout=httpx2.Timeout(None, connect=_CONNECT_TIMEOUT_S),
            limits=httpx2.Limits(max_connections=_MAX_CONNECTIONS, keepalive_expiry=_KEEP_ALIVE_S),
        )

    async def aclose(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def synthesize(
        self, text: str, *, voice: str, speed: float, language: str
    ) -> AsyncGenerator[PcmChunk, None]:
        """As the interface says; the server finds out the language by itself."""
        if self._http is None:
            raise SpeechUnavailableError("the speech server's client is not open")
        if not text.strip():
            return
        request = self._http.build_request(
            "POST", self._url, headers=self._headers(), content=self._body(text, voice, speed)
        )
        loop = asyncio.get_running_loop()
        response: httpx2.Response | None = None
        try:
            # Many local servers send all of it at the end, and some are as slow as real time.
            deadline = loop.time() + self._first_sound_timeout_s + len(text) / _CHARS_PER_S
            async with asyncio.timeout_at(deadline):
                response = await self._http.send(request, stream=True)
                if response.status_code != 200:
                    raise await _error_from(response)
            rate_hz = _rate_hz(response)
            pieces = response.aiter_bytes()
            held = b""  # the start until it is known, later half a sample
            is_known = False
            while True:
                async with asyncio.timeout_at(deadline):
                    piece = await anext(pieces, None)
                if piece is None:
                    break
                held += piece
                if not is_known and len(held) < _MAGIC_BYTES:
                    continue
                if not is_known and held.lstrip().startswith(_NOT_PCM):
                    raise MalformedSpeechError("the server sent something else than PCM")
                is_known = True
                whole = len(held) // 2 * 2
                samples, held = held[:whole], held[whole:]
                if samples:
                    yield PcmChunk(samples, rate_hz)
                deadline = loop.time() + self._next_sound_timeout_s
            if not is_known:
                raise MalformedSpeechError("the server sent no sound")
        except TimeoutError as error:
            raise SpeechTimeoutError("no sound in time") from error
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise SpeechUnreachableError(type(error).__name__) from error
        except httpx2.HTTPError as error:
            raise SpeechCutError(type(error).__name__) from error
        finally:
            if response is not None:
                await response.aclose()

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self._api_key:
            if not (self._api_key.isascii() and self._api_key.isprintable()):
                raise SpeechKeyRefusedError("the key has characters that no key has")
            headers["Authorization"] = f"Bearer {self._api_key}"
        return headers

    def _body(self, text: str, voice: str, speed: float) -> bytes:
        body: dict[str, Any] = {
            "model": self._model,
            "input": text.encode("utf-8", "replace").decode(),
            "voice": voice or self._default_voice,
            "response_format": "pcm",
        }
        if speed != 1.0:  # some servers know no such field
            body["speed"] = min(max(speed, _SLOWEST), _FASTEST)
        return json.dumps(body).encode()


def _rate_hz(response: httpx2.Response) -> int:
    content_type = response.headers.get("content-type", "").lower()
    if content_type.startswith(("text/", "application/json")):
        raise MalformedSpeechError(f"the server sent {content_type.split(';')[0][:40]}")
    rate = _RATE.search(content_type)
    return int(rate[1]) if rate else _RATE_HZ


async def _error_from(response: httpx2.Response) -> TTSError:
    """What a status stands for. Of the server's words only its code is kept: no text, no key."""
    status = response.status_code
    code = await _error_code(response)
    detail = f"HTTP {status} {code}".strip()
    if status == 402 or code == "insufficient_quota":
        return SpeechCreditError(detail)
    if status == 429:
        return SpeechRateLimitError(detail, retry_after_s=retry_after_s(response.headers))
    if status in (401, 403):
        return SpeechKeyRefusedError(detail)
    if status == 404:
        return SpeechUnavailableError(detail)
    if status == 408:
        return SpeechTimeoutError(detail)
    if "voice" in code:
        return UnknownVoiceError(detail)
    if 400 <= status < 500:
        return SpeechRefusedError(detail)
    return SpeechServerError(detail)


async def _error_code(response: httpx2.Response) -> str:
    """`error.code`, or the parameter that was refused; "" when there is none."""
    content = b""
    try:
        async for piece in response.aiter_bytes():
            content += piece
            if len(content) > _ERROR_MAX_BYTES:
                return ""
        error = json.loads(content)["error"]
        known = (error.get("code"), error.get("param"), error.get("type"))
        words = [word for word in known if isinstance(word, str)]
    except (httpx2.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    return next((word for word in words if re.fullmatch(r"[a-z_]{2,40}", word)), "")
