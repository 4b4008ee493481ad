"""Summaries: when they are made, what they keep, and what a crash or a deletion leaves of them."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging

import pytest

from services.conversation_summarizer import ConversationSummarizer
from services.history_store import HistoryStore
from services.llm import LLMError, Written
from services.query_optimizer import record_of
from services.tokens import estimate_tokens
from tests.fakes.conversation import ADA, BOB, answer, question, said

CID = 77


class Writer:
    """A summary model that repeats what it reads, a line for each message, or fails."""

    def __init__(self) -> None:
        self.writer = "scripted"
        self.requests: list[str] = []
        self.error: LLMError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()

    async def write(self, messages, *, max_response_tokens):
        text = messages[1]["content"]
        self.requests.append(text)
        self.asked.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        lines = [line.removeprefix("- ") for line in text.split("\n")]
        kept = [f"- {line}" for line in lines if ": " in line and not line.startswith("Assistant")]
        return Written("\n".join(kept), self.writer, None, is_complete=True)


@pytest.fixture
def writer():
    return Writer()


@pytest.fixture
async def stores(tmp_path, writer):
    """Makes a history and its summarizer, as a new process would; closes them at the end."""
    opened = []

    async def make(*, messages: int = 4, tokens: int = 4000, records_kept: int = 40):
        history = HistoryStore(tmp_path / "history", records_kept=records_kept)
        await history.open()
        summarizer = ConversationSummarizer(
            tmp_path / "summaries",
            history=history,
            llm=writer,
            count=estimate_tokens,
            max_history_messages=messages,
            max_context_tokens=tokens,
            monotonic=lambda: writer.now if hasattr(writer, "now") else 0.0,
        )
        await summarizer.open()
        opened.append((history, summarizer))
        return history, summarizer

    yield make
    for history, summarizer in opened:
        await summarizer.aclose()
        await history.aclose()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "summaries" / f"{CID}.json"


async def talk(history, first: int, last: int, *, by: int = ADA, words: str = "words") -> None:
    for i in range(first, last + 1):
        await history.append(CID, question(i, f"{words} {i}", by=by), answer(i))


async def summed_up(summarizer):
    summarizer.consider(CID)
    await summarizer.idle()
    return await summarizer.summary_of(CID)


# ---------------------------------------------------------------------- when


async def test_nothing_is_summed_up_while_the_window_holds_everything(stores, writer):
    history, summarizer = await stores(messages=6)
    await talk(history, 1, 3)
    assert not (await summed_up(summarizer)).blocks
    assert not writer.requests


async def test_the_older_half_is_folded_once_the_window_is_passed(stores, writer):
    history, summarizer = await stores(messages=6)
    await talk(history, 1, 4)
    summary = await summed_up(summarizer)
    assert (summary.blocks[0].after, summary.up_to) == (0, 2)
    assert summary.text == "- Ada: words 1\n- Ada: words 2"
    assert writer.requests == [
        "[1970-01-01]\nAda: words 1\nAssistant: answer 1\nAda: words 2\nAssistant: answer 2"
    ]


async def test_the_summary_grows_by_blocks_and_each_message_is_paid_for_once(stores, writer):
    history, summarizer = await stores(messages=10)
    texts = []
    for i in range(1, 31):
        await talk(history, i, i)
        texts.append((await summed_up(summarizer)).text)
    for before, after in itertools.pairwise(texts):
        assert after.startswith(before)
    asked = "\n".join(writer.requests)
    assert all(asked.count(f"words {i}\n") == 1 for i in range(1, 25))
    assert len(writer.requests) < 12


async def test_long_messages_are_folded_before_the_window_is_full(stores):
    history, summarizer = await stores(messages=10, tokens=1000)
    await talk(history, 1, 3, words="word " * 150)
    assert (await summed_up(summarizer)).up_to == 2


async def test_with_no_window_nothing_is_summed_up(stores, writer):
    history, summarizer = await stores(messages=0)
    await talk(history, 1, 30)
    assert not (await summed_up(summarizer)).blocks
    assert not writer.requests


async def test_a_turn_is_never_torn_apart(stores):
    history, summarizer = await stores(messages=4)
    for i in (10, 20, 30):
        await history.append(CID, question(i), question(i + 1), question(i + 2))
        await history.append(CID, answer(i + 2, answers=(i, i + 1, i + 2)))
    assert (await summed_up(summarizer)).up_to == 22


async def test_a_summary_waits_for_ids_that_tell_its_end(stores):
    """Answers may come in another order than their questions."""
    history, summarizer = await stores(messages=4)
    await history.append(CID, question(1), question(2, by=BOB), answer(2), question(3), answer(3))
    await history.append(CID, answer(1), question(4), answer(4), question(5), answer(5))
    summary = await summed_up(summarizer)
    left = [r for r in await history.recent(CID) if r.id > summary.up_to]
    assert [r.key for r in left] == [("user", 5), ("assistant", 5)] or summary.up_to == 3


# ---------------------------------------------------------------------- budget and notes


async def test_a_summary_beyond_its_budget_is_written_anew_as_one(stores):
    history, summarizer = await stores(messages=4, tokens=500)
    for i in range(1, 80):
        await talk(history, i, i, words="some more words about it")
        summary = await summed_up(summarizer)
        tokens = estimate_tokens(summary.text)
        assert tokens <= summarizer.budget_tokens
    assert len(summary.blocks) < 8
    assert summary.blocks[0].after == 0


async def test_what_people_asked_to_remember_stays_word_for_word(stores, writer):
    history, summarizer = await stores(messages=4, tokens=1000)
    wishes = ["My sister is called Zofia.", "The door code is 4417.", "We meet on 3 May."]
    for i in range(1, 60):
        wish = f"Please remember: {wishes[i // 20]}" if i % 20 == 1 else f"chatter {i} " * 5
        await history.append(CID, question(i, wish, by=BOB), answer(i))
        summary = await summed_up(summarizer)
    for wish in wishes:
        assert wish.rstrip(".") in summary.text
    assert "- Bob asked to remember:" in summary.text


# ---------------------------------------------------------------------- failure


async def test_a_failing_model_leaves_the_window_longer_and_is_said_once(stores, writer, caplog):
    caplog.set_level(logging.INFO)
    history, summarizer = await stores(messages=4)
    writer.error = LLMError("down")
    writer.now = 0.0
    for i in range(1, 10):
        writer.now += 61.0
        await talk(history, i, i)
        assert not (await summed_up(summarizer)).blocks
    assert len(writer.requests) == 7
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    writer.error = None
    writer.now += 61.0
    assert (await summed_up(summarizer)).up_to == 8
    assert caplog.records[1].message == "conversations are summed up again"


async def test_a_model_that_failed_is_left_alone_for_a_while(stores, writer):
    history, summarizer = await stores(messages=4)
    writer.error = LLMError("down")
    writer.now = 0.0
    await talk(history, 1, 5)
    for _ in range(5):
        writer.now += 5.0
        await summed_up(summarizer)
    assert len(writer.requests) == 1


async def test_what_left_the_memory_while_the_model_failed_is_read_from_the_log(stores):
    history, summarizer = await stores(messages=4, records_kept=6)
    await talk(history, 1, 20)
    assert "words 1\n" in (await summed_up(summarizer)).text + "\n"


async def test_a_message_that_comes_while_it_is_summed_up_is_not_lost(stores, writer):
    history, summarizer = await stores(messages=4)
    await talk(history, 1, 3)
    writer.gate.clear()
    summarizer.consider(CID)
    await writer.asked.wait()
    await talk(history, 4, 6)
    writer.gate.set()
    await summarizer.idle()
    up_to = (await summarizer.summary_of(CID)).up_to
    assert up_to == 2
    assert [r.id for r in await history.since(CID, up_to, limit=100)] == [3, 3, 4, 4, 5, 5, 6, 6]


# ---------------------------------------------------------------------- restart


async def test_a_restart_finds_the_summary_and_pays_nothing(stores, writer, path):
    history, summarizer = await stores()
    await talk(history, 1, 6)
    text = (await summed_up(summarizer)).text
    count = len(writer.requests)
    _, again = await stores()
    assert (await again.summary_of(CID)).text == text
    await summed_up(again)
    assert len(writer.requests) == count
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"blocks": [{}]}', b"\xff", b'{"blocks": 7}']
)
async def test_a_damaged_summary_is_made_anew_from_the_log(stores, path, caplog, damage):
    history, summarizer = await stores()
    await talk(history, 1, 6)
    text = (await summed_up(summarizer)).text
    path.write_bytes(damage)
    _, again = await stores()
    assert not (await again.summary_of(CID)).blocks
    assert [r.message for r in caplog.records] == ["summary cannot be read, making it anew"]
    assert (await summed_up(again)).text == text


async def test_another_model_sums_up_anew_from_the_log_while_the_old_text_serves(stores, writer):
    history, summarizer = await stores()
    await talk(history, 1, 6)
    old = await summed_up(summarizer)
    writer.writer = "another"
    writer.gate.clear()
    writer.asked.clear()
    summarizer.consider(CID)
    await writer.asked.wait()
    assert await summarizer.summary_of(CID) == old
    writer.gate.set()
    await summarizer.idle()
    new = await summarizer.summary_of(CID)
    assert new.up_to == old.up_to
    assert {block.version for block in new.blocks} == {"1:another"}
    assert new.text == old.text


async def test_a_disk_that_refuses_costs_the_file_not_the_summary(stores, path, caplog):
    history, summarizer = await stores()
    await talk(history, 1, 6)
    path.mkdir()
    assert (await summed_up(summarizer)).blocks
    assert "summary cannot be written, keeping it in memory" in caplog.text


# ---------------------------------------------------------------------- forgetting


async def test_a_reset_leaves_nothing_of_the_summary(stores, path):
    history, summarizer = await stores()
    await talk(history, 1, 6)
    assert (await summed_up(summarizer)).blocks
    await summarizer.drop(CID)
    assert not (await summarizer.summary_of(CID)).blocks
    assert not path.exists()


async def test_a_reset_while_it_is_summed_up_wins(stores, writer, path):
    history, summarizer = await stores()
    await talk(history, 1, 6)
    writer.gate.clear()
    summarizer.consider(CID)
    await writer.asked.wait()
    await summarizer.drop(CID)
    await history.reset(CID, at=2000.0)
    writer.gate.set()
    await summarizer.idle()
    assert not (await summarizer.summary_of(CID)).blocks
    assert not path.exists()


async def test_a_deleted_message_leaves_the_summary_at_once_and_its_block_is_made_anew(
    stores, writer, path
):
    history, summarizer = await stores()
    await talk(history, 1, 6)
    assert "words 2" in (await summed_up(summarizer)).text
    writer.gate.clear()
    await history.forget_messages(CID, [2])
    await summarizer.forget_messages(CID, [2])
    assert "words 2" not in (await summarizer.summary_of(CID)).text
    assert "words 2" not in path.read_text()
    writer.gate.set()
    await summarizer.idle()
    text = (await summarizer.summary_of(CID)).text
    assert "words 2" not in text
    assert "words 1" in text
    assert "words 3" in text


async def test_a_forgotten_person_is_in_no_summary_and_others_stay(stores, path):
    history, summarizer = await stores()
    for i in range(1, 7):
        by = BOB if i % 2 else ADA
        words = "SECRET, please remember that my cat is Mia." if by == ADA else "plain"
        await history.append(CID, question(i, f"{words} {i}", by=by), answer(i))
    before = await summed_up(summarizer)
    assert "SECRET" in before.text
    assert await summarizer.export_user(ADA) != {}
    await history.delete_user(ADA)
    assert await summarizer.delete_user(ADA) > 0
    await summarizer.idle()
    for text in (path.read_text(), (await summarizer.summary_of(CID)).text):
        assert "SECRET" not in text
        assert "Mia" not in text
        assert "Ada" not in text
        assert "plain 1" in text
    assert await summarizer.export_user(ADA) == {}
    _, again = await stores()
    assert "SECRET" not in (await again.summary_of(CID)).text


async def test_who_is_forgotten_while_it_is_summed_up_is_not_in_it(stores, writer, path):
    history, summarizer = await stores()
    await talk(history, 1, 3)
    await talk(history, 4, 6, by=BOB)
    writer.gate.clear()
    summarizer.consider(CID)
    await writer.asked.wait()
    await history.delete_user(ADA)
    await summarizer.delete_user(ADA)
    writer.gate.set()
    await summarizer.idle()
    assert "Ada" not in (await summarizer.summary_of(CID)).text
    assert not path.exists() or "Ada" not in path.read_text()


async def test_the_export_holds_ones_own_wishes_and_nobody_elses_words(stores):
    history, summarizer = await stores()
    await history.append(CID, question(1, "Remember that my cat is called Mia."), answer(1))
    await history.append(CID, question(2, "Remember that my dog is Rex.", by=BOB), answer(2))
    await talk(history, 3, 6)
    await summed_up(summarizer)
    exported = json.dumps(await summarizer.export_user(ADA))
    assert "Mia" in exported
    assert "Rex" not in exported


def test_record_and_message_agree_on_the_text_that_is_summed_up():
    assert record_of(said(1, "hello")).text == "hello"
