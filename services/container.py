"""The services of one process, opened in order and closed in reverse."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from services.context import Context
from services.conversation_summarizer import ConversationSummarizer
from services.history_store import HistoryStore
from services.llm import LLMClient
from services.metrics import Metrics
from services.personal_data import PersonalData, PersonalDataStore
from services.personas import Personas
from services.prices import PriceTable
from services.profile_learner import ProfileLearner
from services.profile_store import ProfileStore
from services.responder import Responder
from services.rest_pacing import RestPacer
from services.tokens import TokenCounter
from services.tts.fallback import Speech
from services.tts.phrase_cache import PhraseCache
from services.usage import Quotas, UsageStore
from services.voice.choices import VoiceChoices
from services.voice.sessions import VoiceSessions


@dataclass(eq=False)
class Services:
    """Everything that cogs are built from. An async context manager.

    Args:
        wishes_file: who wants nothing kept, and who is being forgotten.
    """

    metrics: Metrics
    pacer: RestPacer
    counter: TokenCounter
    history: HistoryStore
    llm: LLMClient
    summarizer: ConversationSummarizer
    profiles: ProfileStore
    learner: ProfileLearner
    personas: Personas
    usage: UsageStore
    quotas: Quotas
    prices: PriceTable
    context: Context
    responder: Responder
    phrases: PhraseCache
    speech: Speech
    voice_choices: VoiceChoices
    voice: VoiceSessions
    wishes_file: Path
    personal_data: PersonalData = field(init=False)

    def __post_init__(self) -> None:
        self.personal_data = PersonalData(stores=self.personal_data_stores, path=self.wishes_file)

    @property
    def personal_data_stores(self) -> tuple[PersonalDataStore, ...]:
        """Every store that may hold something of a person's, in the order of deletion.

        The history goes first: summaries are made anew from it.
        """
        return (
            self.history,
            self.summarizer,
            self.profiles,
            self.usage,
            self.phrases,
            self.voice,
        )

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opened:
            self.counter.open()
            opened.push_async_callback(self.counter.aclose)
            await self.history.open()
            opened.push_async_callback(self.history.aclose)
            await self.profiles.open()
            opened.push_async_callback(self.profiles.aclose)
            await self.usage.open()
            opened.push_async_callback(self.usage.aclose)
            await self.personas.open()
            await opened.enter_async_context(self.llm)
            await self.summarizer.open()
            opened.push_async_callback(self.summarizer.aclose)
            opened.push_async_callback(self.learner.aclose)
            await self.personal_data.open()
            opened.push_async_callback(self.personal_data.aclose)
            opened.push_async_callback(self.responder.aclose)
            await self.voice_choices.open()
            await self.phrases.open()
            opened.push_async_callback(self.phrases.aclose)
            await opened.enter_async_context(self.speech)
            opened.push_async_callback(self.voice.aclose)
            self._opened = opened.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        # A cancelled shutdown still writes what it holds.
        await asyncio.shield(self._opened.aclose())
