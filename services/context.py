"""Context: everything a prompt is made of, loaded for a turn and ready for the next.

History, summary, profile and persona are read beside each other; what is in memory costs no I/O.
A store that does not answer costs its part of the prompt, never the reply.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from services.conversation import HistoryRecord, Turn
from services.conversation_summarizer import ConversationSummarizer, Summary
from services.history_store import HistoryStore
from services.personas import Persona, Personas
from services.profile_store import ProfileStore
from services.query_optimizer import Prompt, PromptMemory, QueryOptimizer

log = logging.getLogger(__name__)

T = TypeVar("T")

_LOAD_TIMEOUT_S = 1.0  # a hanging disk costs the memory of the conversation, not the answer
_CONVERSATIONS_KEPT = 1000
_DELETED_LOOKED_AT = 10_000  # records between the first and the last message of a deletion


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prompt, the persona that speaks, and what people said in the conversation so far."""

    prompt: Prompt
    persona: Persona
    heard: list[str]


class Context:
    """What the bot knows when it is asked something."""

    def __init__(
        self,
        *,
        history: HistoryStore,
        summarizer: ConversationSummarizer,
        profiles: ProfileStore,
        personas: Personas,
        query_optimizer: QueryOptimizer,
    ) -> None:
        self._history = history
        self._summarizer = summarizer
        self._profiles = profiles
        self._personas = personas
        self._query_optimizer = query_optimizer
        self._memories: OrderedDict[int, PromptMemory] = OrderedDict()
        self._told_too_long: set[str] = set()  # names of personas
        profiles.subscribe(self._forget_person)

    async def prepare(self, turn: Turn) -> Prepared:
        """The prompt for a turn. Reads files at the most; asks neither Discord nor the model."""
        conversation_id = turn.conversation_id
        said = "\n".join(message.text for message in turn.messages)
        records: Sequence[HistoryRecord]
        records, summary, facts = await asyncio.gather(
            self._loaded(self._history.recent(conversation_id), [], "history", turn),
            self._loaded(self._summarizer.summary_of(conversation_id), Summary(), "summary", turn),
            self._loaded(
                self._profiles.relevant(turn.author_id, said, guild_id=turn.guild_id),
                (),
                "profile",
                turn,
            ),
        )
        memory = self._memory_of(conversation_id)
        persona = self._personas.of(turn.channel_ids or (conversation_id,))
        prompt = self._query_optimizer.build(
            turn,
            records,
            persona=persona.text,
            summary=summary,
            facts=[fact.text for fact in facts],
            memory=memory,
        )
        memory.last = replace(prompt, messages=[])
        log.debug(
            "prompt built",
            extra={
                "turn_id": turn.id,
                "prompt_tokens": prompt.tokens,
                **{part.name.replace(" ", "_"): part.tokens for part in prompt.parts},
                "left_out": "; ".join(prompt.left_out),
            },
        )
        self._tell_if_too_long(persona, prompt)
        heard = [record.text for record in records if record.role == "user"]
        for message in turn.messages:
            heard += [message.text, message.quote.text if message.quote else ""]
        return Prepared(prompt, persona, heard)

    def _tell_if_too_long(self, persona: Persona, prompt: Prompt) -> None:
        is_too_long = prompt.tokens > self._query_optimizer.max_context_tokens
        if is_too_long and persona.name not in self._told_too_long:
            self._told_too_long.add(persona.name)
            log.warning(
                "persona leaves no room in MAX_CONTEXT_TOKENS",
                extra={"persona": persona.name, "prompt_tokens": prompt.tokens},
            )

    async def _loaded(self, work: Awaitable[T], without: T, what: str, turn: Turn) -> T:
        try:
            async with asyncio.timeout(_LOAD_TIMEOUT_S):
                return await work
        except (TimeoutError, OSError) as error:
            log.error(
                "context cannot be read, going without",
                extra={
                    "what": what,
                    "conversation_id": turn.conversation_id,
                    "error": type(error).__name__,
                },
            )
            return without

    def _memory_of(self, conversation_id: int) -> PromptMemory:
        memory = self._memories.setdefault(conversation_id, PromptMemory())
        self._memories.move_to_end(conversation_id)
        while len(self._memories) > _CONVERSATIONS_KEPT:
            self._memories.popitem(last=False)
        return memory

    async def preload(self, conversation_id: int, user_id: int) -> None:
        """Somebody is about to write: have in memory what the prompt will need."""
        await asyncio.gather(
            self._history.recent(conversation_id),
            self._summarizer.summary_of(conversation_id),
            self._profiles.facts(user_id),
        )

    def answered(self, conversation_id: int) -> None:
        """An answer is recorded: sum up in the background what has become too long."""
        self._summarizer.consider(conversation_id)

    def last_prompt(self, conversation_id: int) -> Prompt | None:
        """How the newest prompt of a conversation came to be, without its messages."""
        memory = self._memories.get(conversation_id)
        return memory.last if memory else None

    async def summary_of(self, conversation_id: int) -> Summary:
        return await self._summarizer.summary_of(conversation_id)

    async def reset(self, conversation_id: int, *, at: float) -> None:
        """Begin the conversation anew; `at` in Unix seconds.

        Raises:
            OSError: the disk refused.
        """
        # The summary first: should the process end here, it is made again from the log.
        await self._summarizer.drop(conversation_id)
        await self._history.reset(conversation_id, at=at)
        self._memories.pop(conversation_id, None)

    async def correct_message(self, conversation_id: int, record: HistoryRecord) -> None:
        """A message was edited: what it said before is in no summary and no profile any more.

        Raises:
            OSError, ProfileDiskError: the disk refused.
        """
        await self._history.append(conversation_id, record)
        await self._summarizer.forget_messages(conversation_id, [record.id])
        await self._profiles.forget_messages(record.author_id, [record.id])

    async def forget_messages(self, conversation_id: int, message_ids: Iterable[int]) -> None:
        """Messages were deleted in Discord: they, their answers and what was learned from them go.

        Raises:
            OSError, ProfileDiskError: the disk refused.
        """
        ids = set(message_ids)
        said = await self._history.since(
            conversation_id, min(ids) - 1, up_to=max(ids), limit=_DELETED_LOOKED_AT
        )
        await self._history.forget_messages(conversation_id, ids)
        await self._summarizer.forget_messages(conversation_id, ids)
        for author_id in {r.author_id for r in said if r.role == "user" and r.id in ids}:
            await self._profiles.forget_messages(author_id, ids)

    def _forget_person(self, user_id: int) -> None:
        for memory in self._memories.values():
            memory.forget_person(user_id)
