"""The responder with a scripted model and a real history."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from services.context import Context
from services.conversation import AnswerStatus, Attachment, IncomingMessage, Quote
from services.conversation_summarizer import ConversationSummarizer
from services.history_store import HistoryStore
from services.llm import Finish, Route, Usage
from services.llm.errors import LLMError
from services.personas import Persona, Personas
from services.profile_store import ProfileStore
from services.query_optimizer import QueryOptimizer
from services.responder import Answer, Responder
from services.tokens import TokenCounter
from tests.fakes.conversation import ADA, GUILD, answer, question, said, turn
from tests.fakes.scripted_llm import ScriptedLLM, Step
from tests.fakes.virtual_time import in_virtual_time, now_s

CID = 1


class HangingHistory(HistoryStore):
    """A disk that never answers a write."""

    async def append(self, conversation_id: int, *records: Any) -> bool:
        await asyncio.Event().wait()
        return False


class Noted:
    """Keeps what a responder counts and learns from."""

    def __init__(self) -> None:
        self.used: list[dict[str, Any]] = []
        self.heard_of: list[tuple[int, int | None]] = []

    def record(self, **used: Any) -> None:
        self.used.append(used)

    def heard(self, message: IncomingMessage, *, guild_id: int | None) -> None:
        self.heard_of.append((message.id, guild_id))


async def responding(
    tmp_path: Any,
    *scripts: list[Step],
    history: type[HistoryStore] = HistoryStore,
    finish: Finish = Finish.COMPLETE,
    noted: Noted | None = None,
    routes: bool = False,
) -> tuple[Responder, ScriptedLLM, HistoryStore]:
    store = history(tmp_path)
    await store.open()
    llm: Any = ScriptedLLM(*scripts, finish=finish)
    noted_or_not: Any = noted or Noted()
    counter = TokenCounter()
    limits: Any = {"max_history_messages": 10, "max_context_tokens": 2000}
    summarizer = ConversationSummarizer(
        tmp_path / "summaries", history=store, llm=llm, count=counter.count, **limits
    )
    context = Context(
        history=store,
        summarizer=summarizer,
        profiles=ProfileStore(tmp_path / "profiles"),
        personas=Personas(
            directory=tmp_path / "personas",
            choices_file=tmp_path / "choices.json",
            default=Persona("default", "Parrot.", temperature=0.3),
        ),
        query_optimizer=QueryOptimizer(count=counter.count, **limits),
    )
    responder = Responder(
        llm=llm,
        history=store,
        context=context,
        counter=counter,
        learner=noted_or_not,
        usage=noted_or_not,
        routes=routes,
    )
    return responder, llm, store


async def read(made: Answer) -> list[tuple[float, str]]:
    return [(round(now_s(), 2), piece) async for piece in made]


@in_virtual_time
async def test_pieces_come_out_as_the_model_makes_them(tmp_path):
    responder, llm, _ = await responding(tmp_path, [0.4, "Hello ", 0.1, "there."])
    made = responder.respond(turn(said(1)))
    assert llm.requests == [], "nothing is sent before it is read"
    assert await read(made) == [(0.4, "Hello "), (0.5, "there.")]
    assert made.finish is Finish.COMPLETE
    assert made.error is None
    await responder.aclose()


@in_virtual_time
async def test_the_question_is_recorded_beside_the_models_work(tmp_path):
    responder, _, _ = await responding(tmp_path, [5.0, "Hello"])
    made = responder.respond(turn(said(1), said(2)))
    reading = asyncio.create_task(read(made))
    await asyncio.sleep(0.1)
    await made.question_recorded(timeout_s=1.0)
    assert now_s() < 5.0
    again = HistoryStore(tmp_path)
    await again.open()
    assert [record.text for record in await again.recent(CID)] == ["message 1", "message 2"]
    await reading
    await responder.aclose()


@in_virtual_time
async def test_a_disk_that_hangs_delays_an_answer_by_its_bound_only(tmp_path):
    responder, _, _ = await responding(tmp_path, ["Hello"], history=HangingHistory)
    made = responder.respond(turn(said(1)))
    assert [piece for _, piece in await read(made)] == ["Hello"]
    await made.question_recorded(timeout_s=1.0)
    assert now_s() == pytest.approx(1.0, abs=0.05)
    await responder.aclose()
    assert now_s() == pytest.approx(3.0, abs=0.05)


@in_virtual_time
async def test_before_it_is_read_there_is_nothing_to_wait_for(tmp_path):
    responder, _, _ = await responding(tmp_path, ["Hello"])
    made = responder.respond(turn(said(1)))
    await made.question_recorded(timeout_s=100.0)
    await made.aclose()
    assert now_s() == 0
    assert (made.finish, made.error, made.images_dropped) == (None, None, False)
    assert made.log_fields() == {"turn_id": 1, "conversation_id": CID, "messages": 1}


@in_virtual_time
async def test_what_was_said_before_is_in_the_prompt_and_remembered_answers_follow(tmp_path):
    responder, llm, store = await responding(tmp_path, ["First."], ["Second."])
    first = turn(said(1), in_room=False)
    made = responder.respond(first)
    await read(made)
    await made.question_recorded(timeout_s=1.0)
    await responder.remember(first, "First.", AnswerStatus.COMPLETE, [101])
    await read(responder.respond(turn(said(2), in_room=False)))
    assert [m["content"] for m in llm.requests[1]] == [
        "Parrot.",
        "message 1",
        "First.",
        "message 2",
    ]
    recorded = await store.find(CID, "assistant", 1)
    assert recorded is not None
    assert (recorded.answers, recorded.message_ids) == ((1,), (101,))
    await responder.aclose()


@in_virtual_time
async def test_a_cancelled_attempt_and_its_successor_record_a_message_once(tmp_path):
    responder, _, _ = await responding(tmp_path, [1.0, "Hello"])
    attempt = asyncio.create_task(read(responder.respond(turn(said(1)))))
    await asyncio.sleep(0.2)
    attempt.cancel()
    await asyncio.gather(attempt, return_exceptions=True)
    await read(responder.respond(turn(said(1), said(2))))
    await responder.aclose()
    assert len((tmp_path / f"{CID}.jsonl").read_bytes().splitlines()) == 2


@in_virtual_time
async def test_a_remembered_answer_is_replaced_when_it_is_made_anew(tmp_path):
    responder, _, store = await responding(tmp_path, ["x"])
    asked = turn(said(1))
    await responder.remember(asked, "old", AnswerStatus.CUT_OFF, [101])
    await responder.remember(asked, "new", AnswerStatus.COMPLETE, [101, 102])
    (recorded,) = await store.recent(CID)
    assert (recorded.text, recorded.status) == ("new", AnswerStatus.COMPLETE)


@in_virtual_time
async def test_a_models_failure_is_the_readers_to_tell(tmp_path):
    responder, _, store = await responding(tmp_path, [0.5, LLMError("gone")])
    made = responder.respond(turn(said(1)))
    with pytest.raises(LLMError):
        await read(made)
    await made.question_recorded(timeout_s=1.0)
    assert [record.text for record in await store.recent(CID)] == ["message 1"]
    await responder.aclose()


@in_virtual_time
async def test_closing_an_answer_ends_the_models_work(tmp_path):
    responder, llm, _ = await responding(tmp_path, ["Hello ", 100.0, "there."])
    made = responder.respond(turn(said(1)))
    assert await anext(made) == "Hello "
    await made.aclose()
    assert llm.completions[0].is_closed
    assert made.finish is None
    await responder.aclose()


@in_virtual_time
async def test_what_people_said_is_known_but_not_what_the_model_said(tmp_path):
    responder, _, store = await responding(tmp_path, ["Hello"])
    await store.append(CID, question(1, "see https://a.example"), answer(1, "or https://b.example"))
    quote = Quote(99, "Bob", "https://c.example")
    made = responder.respond(turn(said(2, "https://d.example", quote=quote)))
    await read(made)
    assert set(made.heard) == {"see https://a.example", "https://c.example", "https://d.example"}
    await responder.aclose()


# ---------------------------------------------------------------------- afterwards


@in_virtual_time
async def test_an_answer_is_counted_once_with_the_providers_figures(tmp_path):
    noted = Noted()
    responder, llm, _ = await responding(tmp_path, ["Hello"], noted=noted)
    made = responder.respond(turn(said(1)))
    await read(made)
    llm.completions[0].usage = Usage(100, 7, cached_tokens=64)
    made.is_seen = True
    await made.aclose()
    await made.aclose()
    assert noted.used == [
        {
            "user_id": ADA,
            "guild_id": GUILD,
            "answers": 1,
            "model": "scripted",
            "prompt_tokens": 100,
            "cached_tokens": 64,
            "completion_tokens": 7,
        }
    ]
    assert noted.heard_of == [(1, GUILD)]
    await responder.aclose()


@in_virtual_time
async def test_without_the_providers_figures_our_own_count(tmp_path):
    noted = Noted()
    responder, _, _ = await responding(tmp_path, ["Hello there"], noted=noted)
    made = responder.respond(turn(said(1, "word " * 50)))
    await read(made)
    await made.aclose()
    (used,) = noted.used
    assert used["prompt_tokens"] > 50
    assert used["completion_tokens"] == 2
    await responder.aclose()


@in_virtual_time
async def test_an_attempt_that_nobody_saw_costs_tokens_and_is_no_answer(tmp_path):
    noted = Noted()
    responder, _, _ = await responding(tmp_path, ["Hello"], noted=noted)
    made = responder.respond(turn(said(1)))
    await read(made)
    await made.aclose()
    assert [used["answers"] for used in noted.used] == [0]
    assert noted.heard_of == []
    await responder.aclose()


@in_virtual_time
async def test_what_failed_before_any_text_is_counted_and_not_learned_from(tmp_path):
    noted = Noted()
    responder, _, _ = await responding(tmp_path, [LLMError("gone")], noted=noted)
    made = responder.respond(turn(said(1)))
    with pytest.raises(LLMError):
        await read(made)
    await made.aclose()
    assert len(noted.used) == 1
    assert noted.heard_of == []
    await responder.aclose()


@in_virtual_time
async def test_a_fast_model_makes_routes_and_the_persona_sets_the_temperature(
    tmp_path,
):
    responder, llm, _ = await responding(tmp_path, ["x"], routes=True)
    picture = Attachment("cat.png", image_url="data:image/png;base64,AAAA")
    code = Quote(9, "Bob", "```py\nfor i in range(10): print(i ** 2)\n```")
    asked_of_the_bot = [
        said(1, "hi!"),
        said(2, "hi!", attachments=(picture,)),
        said(3, "what is this?", quote=code),
        said(4, "thanks!", quote=replace(code, author_name="you")),
    ]
    for asked in asked_of_the_bot:
        made = responder.respond(turn(asked))
        await read(made)
        assert made.log_fields()["route_reason"]
    await read(responder.respond(turn(said(1, "hi!"), is_anew=True)))
    assert llm.routes == [Route.FAST, Route.MAIN, Route.MAIN, Route.FAST, Route.MAIN]
    assert llm.temperatures == [0.3] * 5
    await responder.aclose()


@in_virtual_time
async def test_a_question_beyond_the_budget_is_told_to_the_person(tmp_path):
    responder, _, _ = await responding(tmp_path, ["x"], ["y"])
    made = responder.respond(turn(said(1, "word " * 5000)))
    await read(made)
    assert "too long" in made.unread
    made = responder.respond(turn(said(2)))
    await read(made)
    assert made.unread == ""
    await responder.aclose()
