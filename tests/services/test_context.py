"""Context: what is loaded for a prompt, what it costs when a store fails, and what is let go."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from services.context import Context
from services.conversation_summarizer import ConversationSummarizer
from services.history_store import HistoryStore
from services.llm import Written
from services.personas import Persona, Personas
from services.profile_store import FactKind, FactSource, ProfileStore
from services.query_optimizer import QueryOptimizer
from services.tokens import estimate_tokens
from tests.fakes.conversation import ADA, BOB, GUILD, answer, question, said, turn

CID = 1
LIMITS: Any = {"max_history_messages": 4, "max_context_tokens": 2000}
MASK = """---
name: Mask
temperature: 0.1
---
You are a mask.
"""


class Writer:
    writer = "scripted"

    async def write(self, messages, *, max_response_tokens):
        text = messages[1]["content"]
        lines = [line for line in text.split("\n") if line.startswith(("Ada", "Bob"))]
        return Written("\n".join(f"- {line}" for line in lines), "scripted", None, True)


@pytest.fixture
async def world(tmp_path):
    """The stores of a new process on the same directory, and their context."""
    opened = []

    async def make():
        history = HistoryStore(tmp_path / "history")
        await history.open()
        summarizer = ConversationSummarizer(
            tmp_path / "summaries", history=history, llm=Writer(), count=estimate_tokens, **LIMITS
        )
        await summarizer.open()
        profiles = ProfileStore(tmp_path / "profiles")
        await profiles.open()
        (tmp_path / "personas").mkdir(exist_ok=True)
        (tmp_path / "personas" / "mask.md").write_text(MASK)
        personas = Personas(
            directory=tmp_path / "personas",
            choices_file=tmp_path / "choices.json",
            default=Persona("default", "You are a parrot."),
        )
        await personas.open()
        context = Context(
            history=history,
            summarizer=summarizer,
            profiles=profiles,
            personas=personas,
            query_optimizer=QueryOptimizer(count=estimate_tokens, **LIMITS),
        )
        opened.append((history, summarizer, profiles))
        return SimpleNamespace(
            context=context,
            history=history,
            summarizer=summarizer,
            profiles=profiles,
            personas=personas,
        )

    yield make
    for history, summarizer, profiles in opened:
        await summarizer.aclose()
        await profiles.aclose()
        await history.aclose()


async def talked(world, last: int) -> None:
    for i in range(1, last + 1):
        await world.history.append(CID, question(i, f"words {i}"), answer(i))
    world.context.answered(CID)
    await world.summarizer.idle()


async def told(world, text: str, *, guild_id: int | None = GUILD, message_id: int = 0) -> None:
    await world.profiles.remember(
        ADA,
        text,
        kind=FactKind.FACT,
        source=FactSource.LEARNED,
        guild_id=guild_id,
        message_id=message_id,
    )


async def prompt(world, *messages, **fields) -> str:
    prepared = await world.context.prepare(turn(*messages, **fields))
    return "\n".join(m["content"] for m in prepared.prompt.messages)


async def test_a_prompt_holds_persona_summary_recent_turns_profile_and_message(world):
    here = await world()
    await talked(here, 4)
    await told(here, "keeps bees")
    text = await prompt(here, said(50, "how are my bees?"))
    order = ["parrot", "- Ada: words 1", "words 4", "keeps bees", "how are my bees?"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    last = here.context.last_prompt(CID)
    assert last is not None
    assert last.messages == []
    assert [part.name for part in last.parts][:2] == ["persona", "summary"]


async def test_after_a_preload_a_prompt_needs_no_disk(world, monkeypatch):
    before = await world()
    await talked(before, 4)
    await told(before, "keeps bees")
    here = await world()
    await here.context.preload(CID, ADA)

    def no_disk(*args, **kwargs):
        raise AssertionError("the disk was asked")

    monkeypatch.setattr(asyncio, "to_thread", no_disk)
    text = await prompt(here, said(50, "how are my bees?"))
    for part in ("- Ada: words 1", "words 4", "keeps bees"):
        assert part in text


@pytest.mark.parametrize("store", ["history", "summarizer", "profiles"])
async def test_a_store_that_fails_costs_its_part_and_not_the_prompt(
    world, store, monkeypatch, caplog
):
    here = await world()
    await talked(here, 4)
    await told(here, "keeps bees")
    method = {"history": "recent", "summarizer": "summary_of", "profiles": "relevant"}[store]

    async def failing(*args, **kwargs):
        raise OSError("no disk")

    monkeypatch.setattr(getattr(here, store), method, failing)
    text = await prompt(here, said(50, "how are my bees?"))
    assert "how are my bees?" in text
    lost = {"history": "words 4", "summarizer": "- Ada: words 1", "profiles": "keeps bees"}
    assert lost[store] not in text
    assert all(part in text for name, part in lost.items() if name != store)
    assert [r.message for r in caplog.records] == ["context cannot be read, going without"]


async def test_facts_of_the_author_alone_are_used(world):
    here = await world()
    await told(here, "keeps bees")
    assert "keeps bees" not in await prompt(here, said(50, "how are my bees?", by=BOB))


async def test_facts_of_direct_messages_stay_there(world):
    here = await world()
    await told(here, "keeps bees", guild_id=None)
    assert "keeps bees" not in await prompt(here, said(50, "how are my bees?"))
    assert "keeps bees" in await prompt(here, said(51, "how are my bees?"), in_room=False)


async def test_a_threads_persona_goes_before_its_channels(world):
    here = await world()
    await here.personas.use(7, "Mask")
    in_thread = turn(said(1), conversation_id=70, channel_ids=(70, 7))
    prepared = await here.context.prepare(in_thread)
    assert (prepared.persona.name, prepared.persona.temperature) == ("Mask", 0.1)
    elsewhere = await here.context.prepare(turn(said(1), conversation_id=8, channel_ids=(8,)))
    assert elsewhere.persona.name == "default"


async def test_a_reset_leaves_no_trace_in_the_next_prompt(world):
    here = await world()
    await talked(here, 6)
    await here.context.reset(CID, at=5000.0)
    for again in (here, await world()):
        assert "words" not in await prompt(again, said(50))


async def test_a_deleted_message_takes_its_answer_its_summary_and_what_was_learned_along(world):
    here = await world()
    await talked(here, 6)
    await told(here, "keeps bees", message_id=2)
    await told(here, "lives in Graz", message_id=3)
    await here.context.forget_messages(CID, [2])
    await here.summarizer.idle()
    text = await prompt(here, said(50, "my bees, my Graz"))
    assert "words 2" not in text
    assert "bees" not in text.replace("my bees", "")
    assert "words 1" in text
    assert "lives in Graz" in text


async def test_an_edited_message_reads_as_it_does_now_in_summary_and_profile(world, tmp_path):
    here = await world()
    await talked(here, 6)
    await told(here, "keeps bees", message_id=2)
    await here.context.correct_message(CID, question(2, "other words"))
    await here.summarizer.idle()
    text = await prompt(here, said(50, "how are my bees?"))
    assert "words 2" not in text
    assert "- Ada: other words" in text
    assert "keeps bees" not in text
    await here.history.aclose()
    assert "words 2" not in (tmp_path / "history" / f"{CID}.jsonl").read_text()


async def test_what_a_prompt_said_of_a_person_goes_with_their_profile(world):
    here = await world()
    await told(here, "keeps bees")
    await prompt(here, said(1, "how are my bees?"))
    await here.history.append(CID, question(1, "how are my bees?"), answer(1))
    assert "keeps bees" in await prompt(here, said(2, "thanks"))
    await here.profiles.delete_user(ADA)
    assert "keeps bees" not in await prompt(here, said(3, "thanks"))


async def test_a_persona_beyond_the_budget_is_told_once(world, caplog):
    here = await world()
    huge = Persona("default", "word " * 3000)
    here.personas.of = lambda channel_ids: huge
    for i in (1, 2):
        assert "word" in await prompt(here, said(i))
    assert [r.message for r in caplog.records] == ["persona leaves no room in MAX_CONTEXT_TOKENS"]
