"""Learning with a scripted writer and a real store: what costs a request, what is believed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from services.llm import LLMError
from services.profile_learner import MAX_WAITING, ProfileLearner, checked_lines
from services.profile_store import FactKind, FactSource, ProfileStore
from tests.fakes.conversation import ADA, BOB, GUILD, said
from tests.fakes.virtual_time import in_virtual_time, now_s


@dataclass(frozen=True)
class Written:
    text: str


class ScriptedWriter:
    """Writes the next text at each request, the last one for all that follow; it may take time."""

    def __init__(self, *texts: str | Exception, takes_s: float = 0.0) -> None:
        self.texts = texts or ("NONE",)
        self.takes_s = takes_s
        self.requests: list[str] = []  # what people wrote, of each request
        self.asked_at_s: list[float] = []
        self.running = self.most_running = 0

    async def write(
        self, messages: Sequence[dict[str, Any]], *, max_response_tokens: int
    ) -> Written:
        text = self.texts[min(len(self.requests), len(self.texts) - 1)]
        self.requests.append(messages[-1]["content"])
        self.asked_at_s.append(now_s())
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            await asyncio.sleep(self.takes_s)
        finally:
            self.running -= 1
        if isinstance(text, Exception):
            raise text
        return Written(text)


class Stage:
    """A learner over a store on the disk."""

    def __init__(self, directory: Any) -> None:
        self.store = ProfileStore(directory / "profiles")

    async def begin(self, *texts: str | Exception, **options: Any) -> ProfileLearner:
        await self.store.open()
        self.writer = ScriptedWriter(*texts, takes_s=options.pop("takes_s", 0.0))
        options.setdefault("enabled", True)
        self.learner = ProfileLearner(profiles=self.store, llm=self.writer, **options)
        return self.learner

    async def facts(self, user_id: int = ADA) -> list[tuple[str, str]]:
        return [(fact.kind.value, fact.text) for fact in await self.store.facts(user_id)]


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


async def settle() -> None:
    """Long enough in virtual time for everything that waits."""
    await asyncio.sleep(3600.0)


# ---------------------------------------------------------------------- learning


@in_virtual_time
async def test_what_people_say_of_themselves_becomes_facts_with_their_origin(stage):
    learner = await stage.begin("name: Ada\n- **fact**: lives in Graz")
    learner.heard(said(7, "Hi, my name is Ada and I live in Graz"), guild_id=GUILD)
    await settle()
    name, fact = await stage.store.facts(ADA)
    assert (name.kind, name.text) == (FactKind.NAME, "name: Ada")
    assert (fact.kind, fact.text) == (FactKind.FACT, "lives in Graz")
    assert {f.source for f in (name, fact)} == {FactSource.LEARNED}
    assert (fact.guild_id, fact.message_id) == (GUILD, 7)
    await learner.aclose()


@in_virtual_time
async def test_messages_that_say_nothing_of_their_writer_cost_no_request(stage):
    learner = await stage.begin("fact: sorts lists")
    for number, text in enumerate(
        ["how do I sort a list?", "lol", "> I live in Graz", "```\nI live in Graz\n```", "nice one"]
    ):
        learner.heard(said(number + 1, text), guild_id=GUILD)
    await settle()
    assert stage.writer.requests == []
    assert await stage.facts() == []


@in_virtual_time
async def test_only_the_persons_own_words_are_sent(stage):
    learner = await stage.begin()
    text = "I live in Graz\n> I live in Linz\n```\nI live in Wien\n``` https://a.example/linz"
    learner.heard(said(1, text), guild_id=GUILD)
    await settle()
    (request,) = stage.writer.requests
    assert "Graz" in request
    assert not [word for word in ("Linz", "Wien", "linz") if word in request]


@in_virtual_time
async def test_a_persons_messages_share_one_request_a_minute(stage):
    learner = await stage.begin()
    begun_s = now_s()
    for number in range(1, 40):
        learner.heard(said(number, f"I like number {number}."), guild_id=GUILD)
        await asyncio.sleep(5.0)
    await settle()
    assert stage.writer.asked_at_s[0] == pytest.approx(begun_s)
    assert all(later - at >= 60.0 for at, later in pairwise(stage.writer.asked_at_s))
    assert len(stage.writer.requests) == 5
    assert stage.writer.requests[1].count("I like number") == MAX_WAITING
    assert "number 39." in stage.writer.requests[-1]


@in_virtual_time
async def test_a_person_has_one_request_at_a_time_and_others_do_not_wait_for_it(stage):
    learner = await stage.begin(takes_s=500.0)
    for number, person in enumerate((ADA, ADA, BOB)):
        learner.heard(said(number + 1, "I like jazz", by=person), guild_id=GUILD)
        await asyncio.sleep(70.0)
    assert len(stage.writer.requests) == 2
    assert stage.writer.most_running == 2
    await settle()
    assert len(stage.writer.requests) == 3


@in_virtual_time
async def test_what_was_said_in_different_places_is_never_mixed(stage):
    learner = await stage.begin(
        "NONE", "fact: likes jazz\nfact: likes blues", "fact: likes jazz\nfact: likes blues"
    )
    learner.heard(said(1, "I like tea"), guild_id=GUILD)
    await asyncio.sleep(1.0)
    learner.heard(said(2, "I like jazz"), guild_id=None)
    learner.heard(said(3, "I like blues"), guild_id=GUILD)
    await settle()
    assert [request.count("I like") for request in stage.writer.requests] == [1, 1, 1]
    facts = {fact.text: fact.guild_id for fact in await stage.store.facts(ADA)}
    assert facts == {"likes jazz": None, "likes blues": GUILD}


@in_virtual_time
async def test_learning_can_be_switched_off_and_asking_still_works(stage):
    learner = await stage.begin("fact: lives in Graz", enabled=False)
    learner.heard(said(1, "I live in Graz"), guild_id=GUILD)
    learner.heard(said(2, "Remember that I hate spoilers"), guild_id=GUILD)
    await settle()
    assert stage.writer.requests == []
    assert await stage.facts() == [("fact", "I hate spoilers")]


# ---------------------------------------------------------------------- asked to remember


@in_virtual_time
async def test_what_people_ask_to_remember_is_kept_word_for_word_without_a_model(stage):
    learner = await stage.begin(LLMError("down"))
    text = "Please remember that I live at sea. Merk dir, dass ich Ada heiße!"
    learner.heard(said(4, text), guild_id=None)
    await settle()
    learner.heard(said(5, "remember to answer in German"), guild_id=None)
    await settle()
    facts = await stage.store.facts(ADA)
    assert [(fact.text, fact.kind) for fact in facts] == [
        ("I live at sea", FactKind.FACT),
        ("ich Ada heiße", FactKind.FACT),
        ("to answer in German", FactKind.LANGUAGE),
    ]
    assert {(f.source, f.guild_id) for f in facts} == {(FactSource.REMEMBERED, None)}
    assert [fact.message_id for fact in facts] == [4, 4, 5]
    assert stage.writer.requests == []


@in_virtual_time
async def test_what_is_about_others_and_what_is_secret_is_not_kept(stage, caplog):
    learner = await stage.begin()
    for number, text in enumerate(
        ["remember that the meeting is on Friday", "remember that my password is hunter2"]
    ):
        learner.heard(said(number + 1, text), guild_id=GUILD)
    await settle()
    assert await stage.facts() == []
    assert "hunter2" not in caplog.text


@in_virtual_time
async def test_what_was_asked_is_still_written_when_the_learner_closes(stage):
    learner = await stage.begin()
    learner.heard(said(1, "remember that I like jazz"), guild_id=GUILD)
    await learner.aclose()
    assert await stage.facts() == [("fact", "I like jazz")]
    learner.heard(said(2, "remember that I like blues"), guild_id=GUILD)
    assert await stage.facts() == [("fact", "I like jazz")]


# ---------------------------------------------------------------------- the model is not trusted


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("NONE", []),
        ("", []),
        ("fact: lives in Graz", [(FactKind.FACT, "lives in Graz")]),
        ("1. Fact： „lives in Graz“", [(FactKind.FACT, "lives in Graz")]),
        ("Sure! Here you go:\nfact: lives in Graz", [(FactKind.FACT, "lives in Graz")]),
        ("hobby: lives in Graz", []),
        ("fact: plays chess", []),
        ("fact: has 3 dogs in Graz", []),
        ("fact: has 2 cats in Graz", [(FactKind.FACT, "has 2 cats in Graz")]),
        ("fact: Graz " + "very " * 40, []),
        ("name: Ada", [(FactKind.NAME, "name: Ada")]),
        ("preference: short answers", [(FactKind.PREFERENCE, "short answers")]),
        ("lives in Graz", []),
        ("fact:", []),
        ("fact: Graz a\nfact: Graz b\nfact: Graz c\nfact: Graz d", 3),
    ],
)
def test_a_line_is_believed_only_when_it_is_made_of_what_was_said(written, kept):
    own = "I am Ada, I live in Graz with 2 cats and want short answers"
    lines = checked_lines(written, said=own)
    assert lines == kept if isinstance(kept, list) else len(lines) == kept


@in_virtual_time
async def test_a_line_about_delicate_things_is_dropped_and_the_next_one_kept(stage):
    learner = await stage.begin("fact: has diabetes\nfact: lives in Graz")
    learner.heard(said(1, "I have a diabetes pump and I live in Graz"), guild_id=GUILD)
    await settle()
    assert await stage.facts() == [("fact", "lives in Graz")]


@pytest.mark.parametrize("failure", [LLMError("no model"), RuntimeError("a bug")])
@in_virtual_time
async def test_a_failure_is_one_log_record_and_the_next_message_is_heard(stage, caplog, failure):
    learner = await stage.begin(failure, "fact: likes jazz")
    learner.heard(said(1, "I like tea"), guild_id=GUILD)
    await settle()
    assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) == 1
    assert "tea" not in caplog.text
    learner.heard(said(2, "I like jazz"), guild_id=GUILD)
    await settle()
    assert await stage.facts() == [("fact", "likes jazz")]


# ---------------------------------------------------------------------- forgetting and bounds


@pytest.mark.parametrize("way", ["profile", "everything"])
@in_virtual_time
async def test_nothing_comes_back_after_a_person_is_forgotten(stage, way):
    learner = await stage.begin("fact: likes tea", takes_s=10.0)
    for person in (ADA, BOB):
        learner.heard(said(1, "I like tea", by=person), guild_id=GUILD)
    await asyncio.sleep(1.0)  # both requests are under way
    learner.heard(said(2, "I like jazz"), guild_id=GUILD)
    if way == "profile":
        await stage.store.delete_user(ADA)
    else:
        await stage.store.forget(ADA, None)
    await settle()
    assert len(stage.writer.requests) == 2
    assert await stage.facts(ADA) == []
    assert await stage.facts(BOB) == [("fact", "likes tea")]


@in_virtual_time
async def test_memory_is_bounded_in_people_and_idle_ones_give_way(stage):
    learner = await stage.begin(takes_s=100.0, max_people=2)
    for person in (1, 2, 3):
        learner.heard(said(person, "I like jazz", by=person), guild_id=GUILD)
    await settle()
    assert len(stage.writer.requests) == 2  # the third found no place
    learner.heard(said(4, "I like jazz", by=4), guild_id=GUILD)
    await settle()
    assert len(stage.writer.requests) == 3
    assert list(learner._people) == [2, 4]


@in_virtual_time
async def test_closing_ends_a_request_that_is_under_way(stage):
    learner = await stage.begin("fact: likes jazz", takes_s=1e9)
    learner.heard(said(1, "I like jazz"), guild_id=GUILD)
    await asyncio.sleep(1.0)
    await learner.aclose()
    assert stage.writer.running == 0
    assert await stage.facts() == []
