"""Warm-up: what will probably be said is synthesised ahead, while nothing else is going on.

That is greetings and acknowledgements, the sentences in which the bot tells of failures, and what
a server has heard several times. All of it goes into the phrase cache, in the voice of each server
where the bot is in voice. Counts of what was heard stay in memory, bounded, and are forgotten
with the phrases.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing

from services.background import BackgroundTasks
from services.tts.fallback import SpokenAnswer
from services.tts.provider import TTSError
from services.voice.chunker import Chunker
from services.voice.session import VoiceSession

log = logging.getLogger(__name__)

_IDLE_S = 10.0  # nothing was said anywhere for so long
_BETWEEN_PHRASES_S = 0.5
_OFTEN = 3
_COUNTED_CHARS = 60  # longer sentences are hardly ever said twice
_COUNTED_PER_SERVER = 200
_COUNTED_SERVERS = 200

COMMON_PHRASES = {
    "en": (
        "Hello!|Hi!|Hi there!|Hey!|Good morning!|Good evening!|Welcome back!|Sure!|Sure.|"
        "Of course!|Of course.|Okay.|Got it.|Great question!|Good question.|Yes.|No.|"
        "Thank you!|Thanks!|You're welcome!|You're welcome.|No problem!|One moment.|"
        "Let me think.|I don't know.|I'm not sure.|Sorry about that.|Goodbye!|See you!"
    ),
    "de": (
        "Hallo!|Hi!|Guten Morgen!|Guten Abend!|Klar!|Klar.|Natürlich!|Natürlich.|Okay.|"
        "Verstanden.|Gute Frage!|Ja.|Nein.|Danke!|Gern geschehen!|Kein Problem!|"
        "Einen Moment.|Das weiß ich nicht.|Tut mir leid.|Tschüss!|Bis bald!"
    ),
    "es": (
        "¡Hola!|¡Buenos días!|¡Buenas noches!|¡Claro!|Claro.|Por supuesto.|De acuerdo.|"
        "Entendido.|¡Buena pregunta!|Sí.|No.|¡Gracias!|¡De nada!|Un momento.|No lo sé.|"
        "Lo siento.|¡Adiós!|¡Hasta luego!"
    ),
    "fr": (
        "Bonjour !|Salut !|Bonsoir !|Bien sûr !|Bien sûr.|D'accord.|Compris.|"
        "Bonne question !|Oui.|Non.|Merci !|De rien !|Un instant.|Je ne sais pas.|"
        "Désolé.|Au revoir !|À bientôt !"
    ),
}


class WarmUp:
    """Works while there are sessions.

    Args:
        sessions: those that there are now.
        sentences: that the bot itself says, in any language.
        idle_s: how long nothing must have been said.
    """

    def __init__(
        self,
        *,
        sessions: Callable[[], Iterable[VoiceSession]],
        sentences: Iterable[str],
        idle_s: float = _IDLE_S,
    ) -> None:
        self._sessions = sessions
        self._sentences = tuple(sentences)
        self._idle_s = idle_s
        self._heard: OrderedDict[int, OrderedDict[str, int]] = OrderedDict()
        self._last_said_s = 0.0
        self._tasks = BackgroundTasks()
        self._task: asyncio.Task[None] | None = None
        self._phrase: asyncio.Task[None] | None = None  # being synthesised now

    def start(self) -> None:
        """There is a session; runs until there is none."""
        self.make_room()
        if self._task is None or self._task.done():
            self._task = self._tasks.start(self._run(), name="voice-warm-up")

    async def aclose(self) -> None:
        await self._tasks.aclose()

    def make_room(self) -> None:
        """Something is to be said to people: nothing of ours stands in its way."""
        self._last_said_s = asyncio.get_running_loop().time()
        if self._phrase is not None:
            self._phrase.cancel()

    def said(self, guild_id: int, text: str) -> None:
        """A server heard this."""
        self._last_said_s = asyncio.get_running_loop().time()
        if len(text) > _COUNTED_CHARS:
            return
        counts = self._heard.setdefault(guild_id, OrderedDict())
        self._heard.move_to_end(guild_id)
        counts[text] = counts.get(text, 0) + 1
        counts.move_to_end(text)
        if len(counts) > _COUNTED_PER_SERVER:
            counts.popitem(last=False)
        if len(self._heard) > _COUNTED_SERVERS:
            self._heard.popitem(last=False)

    def forget(self) -> int:
        """Count anew; returns how many sentences were known."""
        count = sum(map(len, self._heard.values()))
        self._heard.clear()
        return count

    async def _run(self) -> None:
        while list(self._sessions()):
            await self._until_idle()
            is_done = True
            for session in self._sessions():
                answer = session.answer()
                if not answer.keeps:
                    return
                for phrase in self._phrases(session):
                    if not answer.knows(phrase):
                        is_done = False
                        await self._until_idle()
                        speaking = _say_to_nobody(answer, phrase)
                        self._phrase = self._tasks.start(speaking, name="warm-up-phrase")
                        await asyncio.wait([self._phrase])
                        await asyncio.sleep(_BETWEEN_PHRASES_S if self._idle_s else 0)
            await asyncio.sleep(self._idle_s * (10 if is_done else 1))

    async def _until_idle(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            wait_s = self._last_said_s + self._idle_s - loop.time()
            if any(session.replies for session in self._sessions()):
                wait_s = self._idle_s
            if wait_s <= 0:
                return
            await asyncio.sleep(wait_s)

    def _phrases(self, session: VoiceSession) -> Iterator[str]:
        """What this server will probably hear, in the pieces in which it is said."""
        language = re.split("[-_]", session.voice.language.lower())[0]
        yield from filter(None, COMMON_PHRASES.get(language, "").split("|"))
        for sentence in self._sentences:
            chunker = Chunker()
            for chunk in [*chunker.push(sentence), *chunker.flush()]:
                yield chunk.text
        for text, count in list(self._heard.get(session.guild_id, {}).items()):
            if count >= _OFTEN:
                yield text


async def _say_to_nobody(answer: SpokenAnswer, phrase: str) -> None:
    with contextlib.suppress(TTSError):  # logged where it failed
        async with aclosing(answer.say(phrase)) as said:
            async for _ in said:
                pass
