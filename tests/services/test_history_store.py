"""The history on a real disk: what counts, what survives, what is forgotten."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from services.conversation import AnswerStatus, Quote
from services.history_store import HistoryStore
from tests.fakes.conversation import ADA, BOB, answer, question

CID = 77


@pytest.fixture
async def opened(tmp_path):
    """Opens stores on the same directory; each is a process of its own to the files."""

    async def opened(**options: Any) -> HistoryStore:
        store = HistoryStore(tmp_path / "history", **options)
        await store.open()
        return store

    return opened


@pytest.fixture
def path(tmp_path):
    return tmp_path / "history" / f"{CID}.jsonl"


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


async def texts(store: HistoryStore, conversation_id: int = CID) -> list[str]:
    return [record.text for record in await store.recent(conversation_id)]


# ---------------------------------------------------------------------- what was appended


async def test_what_was_appended_is_there_after_a_restart(opened):
    records = [
        question(1, "héllo 👋\nsecond line", quote=Quote(9, "Bob", "said before")),
        answer(1, "an answer", message_ids=(2, 3), status=AnswerStatus.STOPPED),
        question(4, "", by=BOB),
    ]
    assert await (await opened()).append(CID, *records)
    assert await (await opened()).recent(CID) == records


async def test_a_record_is_on_disk_when_append_returns(opened, path):
    store = await opened()
    assert await store.append(CID, question(1))
    assert [line["id"] for line in lines_of(path)] == [1]


async def test_an_unchanged_record_is_not_written_again(opened, path):
    store = await opened()
    await store.append(CID, question(1))
    assert await store.append(CID, question(1))
    assert len(lines_of(path)) == 1
    again = await opened()
    await again.append(CID, question(1))
    assert len(lines_of(path)) == 1


async def test_a_later_record_replaces_an_earlier_one_in_its_place(opened):
    store = await opened()
    await store.append(CID, question(1), answer(1), question(2))
    await store.append(CID, question(1, "edited"), answer(1, "anew"))
    assert await texts(store) == ["edited", "anew", "question 2"]
    assert await texts(await opened()) == ["edited", "anew", "question 2"]
    recorded = await store.find(CID, "assistant", 1)
    assert recorded is not None
    assert recorded.text == "anew"
    assert await store.find(CID, "assistant", 2) is None


async def test_concurrent_appends_keep_their_order(opened, path):
    store = await opened()
    written = await asyncio.gather(*(store.append(CID, question(i)) for i in range(1, 101)))
    assert all(written)
    assert [line["id"] for line in lines_of(path)] == list(range(1, 101))


async def test_a_cancelled_append_is_written_all_the_same(opened, path):
    store = await opened()
    await store.append(CID, question(1))
    task = asyncio.create_task(store.append(CID, question(2)))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.aclose()
    assert [line["id"] for line in lines_of(path)] == [1, 2]


async def test_closing_waits_for_writes_that_are_under_way(opened, path):
    store = await opened()
    await store.recent(CID)
    task = asyncio.create_task(store.append(CID, question(1)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await store.aclose()
    assert [line["id"] for line in lines_of(path)] == [1]
    assert await task


async def test_lone_surrogates_do_no_harm(opened):
    store = await opened()
    assert await store.append(CID, question(1, "half \ud83d an emoji"))
    assert await texts(await opened()) == ["half ? an emoji"]


# ---------------------------------------------------------------------- damage


async def test_a_torn_tail_is_dropped(opened, path):
    await (await opened()).append(CID, question(1), question(2))
    whole = path.read_bytes()
    for cut in range(1, len(whole) - whole.index(b"\n") - 1):
        path.write_bytes(whole[:-cut])
        assert await texts(await opened()) == ["question 1"]


async def test_an_append_after_a_torn_tail_begins_a_line_of_its_own(opened, path):
    await (await opened()).append(CID, question(1), question(2))
    path.write_bytes(path.read_bytes()[:-5])
    store = await opened()
    await store.append(CID, question(3))
    assert [line["id"] for line in lines_of(path)] == [1, 3]
    assert await texts(await opened()) == ["question 1", "question 3"]


async def test_a_file_of_half_a_line_counts_as_empty(opened, path):
    path.parent.mkdir()
    path.write_bytes(b'{"id":1,"role":"us' * 10_000)
    store = await opened()
    assert await store.recent(CID) == []
    await store.append(CID, question(3))
    assert [line["id"] for line in lines_of(path)] == [3]


async def test_damaged_lines_are_passed_over_and_counted(opened, path, caplog):
    await (await opened()).append(CID, question(1), question(2))
    first, second = path.read_bytes().splitlines(keepends=True)
    damage = [b"\xff\xfe\x00", b"", b"[]", b"7", b'"reset"', b'{"id":"x"}', b'{"forget":["user"]}']
    path.write_bytes(first + b"\n".join(damage) + b"\n" + second)
    assert await texts(await opened()) == ["question 1", "question 2"]
    (record,) = [r for r in caplog.records if r.message == "damaged history lines passed over"]
    assert vars(record)["lines"] == len(damage)


# ---------------------------------------------------------------------- forgetting


async def test_forgotten_messages_take_their_answers_along(opened):
    store = await opened()
    await store.append(CID, question(1), answer(1), question(2), question(3))
    await store.append(CID, answer(3, answers=(2, 3)))
    await store.forget_messages(CID, [1, 3])
    # The second answer answers something else as well.
    assert await texts(store) == ["question 2", "answer 3"]
    assert await texts(await opened()) == ["question 2", "answer 3"]


async def test_forgetting_what_is_not_there_writes_nothing(opened, path):
    store = await opened()
    await store.append(CID, question(1))
    size = path.stat().st_size
    await store.forget_messages(CID, [5, 6])
    await store.forget_messages(CID + 1, [5])
    assert path.stat().st_size == size
    assert not path.with_name(f"{CID + 1}.jsonl").exists()


async def test_a_reset_begins_a_new_conversation(opened):
    store = await opened()
    await store.append(CID, question(1), answer(1))
    await store.reset(CID, at=5.0)
    assert await store.recent(CID) == []
    await store.append(CID, question(2))
    assert await texts(store) == ["question 2"]
    again = await opened()
    assert await texts(again) == ["question 2"]
    assert again.knows(CID)


async def test_a_reset_of_a_conversation_that_never_was_makes_none(opened, path):
    store = await opened()
    await store.reset(CID, at=5.0)
    assert not path.exists()
    assert not (await opened()).knows(CID)


# ---------------------------------------------------------------------- a long file


async def test_the_newest_records_are_read_from_many_blocks(opened, monkeypatch):
    monkeypatch.setattr("services.history_store._READ_BLOCK_BYTES", 100)
    store = await opened(records_kept=30)
    await store.append(CID, *(question(i, f"{i} " + "x" * (i % 170)) for i in range(1, 201)))
    expected = [record.id for record in await store.recent(CID)]
    assert expected == list(range(171, 201))
    assert [r.id for r in await (await opened(records_kept=30)).recent(CID)] == expected


@pytest.mark.parametrize("count", [1, 20, 21, 22, 500])
async def test_no_line_is_halved_whatever_the_block_size(opened, monkeypatch, caplog, count):
    await (await opened()).append(CID, *(question(i) for i in range(1, count + 1)))
    for block in (1, 7, 64, 1000):
        monkeypatch.setattr("services.history_store._READ_BLOCK_BYTES", block)
        records = await (await opened(records_kept=10)).recent(CID)
        assert [r.id for r in records] == list(range(max(1, count - 9), count + 1))
    assert caplog.records == []


async def test_loading_reads_no_more_of_a_longer_file(opened, path, monkeypatch):
    read_bytes = 0
    real_open = Path.open

    def counting_open(self: Path, *args: Any, **kwargs: Any) -> Any:
        file = real_open(self, *args, **kwargs)

        class Counting:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                file.close()

            def __getattr__(self, name):
                return getattr(file, name)

            def read(self, size=-1):
                nonlocal read_bytes
                data = file.read(size)
                read_bytes += len(data)
                return data

        return Counting()

    costs = []
    for count in (1_000, 20_000):
        path.parent.mkdir(exist_ok=True)
        line = {"id": 0, "role": "user", "at": 1.0, "text": "x" * 100, "author_id": ADA}
        with path.open("w") as file:
            for i in range(count):
                file.write(json.dumps({**line, "id": i}) + "\n")
        monkeypatch.setattr(Path, "open", counting_open)
        read_bytes = 0
        assert len(await (await opened(records_kept=40)).recent(CID)) == 40
        costs.append(read_bytes)
        monkeypatch.setattr(Path, "open", real_open)
    assert costs[0] == costs[1]
    assert 0 < costs[0] <= 64 * 1024


# ---------------------------------------------------------------------- memory


async def test_the_least_recently_used_conversations_leave_memory_and_come_back(opened):
    store = await opened(max_conversations=3)
    for cid in range(1, 11):
        await store.append(cid, question(cid))
        await store.recent(1)  # stays in use
    assert len(store._loaded) == 3
    assert 1 in store._loaded
    for cid in range(1, 11):
        assert await texts(store, cid) == [f"question {cid}"]
    assert len(store._loaded) == 3


async def test_a_conversation_in_memory_does_not_grow(opened):
    store = await opened(records_kept=10)
    for i in range(1, 101):
        await store.append(CID, question(i))
    assert len(await store.recent(CID)) == 10
    conversation = store._loaded[CID]
    assert len(conversation.records) == 10
    assert conversation.pending == []
    assert not store._loading
    assert not store._writes._tasks


async def test_people_who_ask_at_once_share_one_read(opened, monkeypatch):
    await (await opened()).append(CID, question(1))
    reads = []
    store = await opened()
    real_read = store._read

    async def counted_read(conversation_id: int) -> Any:
        reads.append(conversation_id)
        return await real_read(conversation_id)

    monkeypatch.setattr(store, "_read", counted_read)
    answers = await asyncio.gather(*(store.recent(CID) for _ in range(20)))
    assert reads == [CID]
    assert all(len(records) == 1 for records in answers)


async def test_the_bot_knows_where_it_took_part(opened):
    store = await opened()
    assert not store.knows(CID)
    await store.append(CID, question(1))
    assert store.knows(CID)
    assert (await opened()).knows(CID)


async def test_files_of_others_in_the_directory_are_left_alone(opened, path):
    path.parent.mkdir()
    for name in ("notes.jsonl", "5.txt", "-5.jsonl"):
        (path.parent / name).write_text("not ours")
    store = await opened()
    assert not store.knows(5)
    assert await store.delete_user(ADA) == 0
    assert all(file.read_text() == "not ours" for file in path.parent.iterdir())


@pytest.mark.parametrize("name", ["../../etc/passwd", "a", "1/2"])
async def test_file_names_come_from_integers_alone(opened, tmp_path, name):
    store = await opened()
    with pytest.raises(ValueError, match="invalid literal"):
        await store.append(name, question(1))
    assert [p.name for p in tmp_path.rglob("*")] == ["history"]


# ---------------------------------------------------------------------- a disk that refuses


async def test_a_disk_that_refuses_is_said_once_and_what_was_not_written_is_kept(
    opened, path, caplog
):
    caplog.set_level(logging.INFO)
    store = await opened()
    path.mkdir(parents=True)  # a directory where the file should be
    assert not await store.append(CID, question(1))
    assert not await store.append(CID, answer(1))
    assert await texts(store) == ["question 1", "answer 1"]
    assert [r.levelname for r in caplog.records] == ["ERROR"]

    path.rmdir()
    assert await store.append(CID, question(2))
    assert [line["id"] for line in lines_of(path)] == [1, 1, 2]
    assert [r.message for r in caplog.records][1:] == ["history can be written again"]


async def test_closing_writes_what_the_disk_had_refused(opened, path):
    store = await opened()
    path.mkdir(parents=True)
    assert not await store.append(CID, question(1))
    path.rmdir()
    await store.aclose()
    assert await texts(await opened()) == ["question 1"]


async def test_a_conversation_that_could_not_be_written_stays_in_memory(opened, path):
    store = await opened(max_conversations=2)
    for cid in range(1, 6):
        path.with_name(f"{cid}.jsonl").mkdir(parents=True)
        assert not await store.append(cid, question(cid))
    for cid in range(1, 6):
        path.with_name(f"{cid}.jsonl").rmdir()
        assert await texts(store, cid) == [f"question {cid}"]
    await store.aclose()
    for cid in range(1, 6):
        assert await texts(await opened(), cid) == [f"question {cid}"]


async def test_what_waits_for_the_disk_is_bounded(opened, path, monkeypatch):
    monkeypatch.setattr("services.history_store._MAX_PENDING_LINES", 50)
    store = await opened()
    path.mkdir(parents=True)
    for i in range(1, 121):
        await store.append(CID, question(i))
    path.rmdir()
    await store.append(CID, question(121))
    assert [line["id"] for line in lines_of(path)] == list(range(71, 122))


async def test_a_write_that_fails_half_way_leaves_no_half_line(opened, path, monkeypatch):
    store = await opened()
    await store.append(CID, question(1))
    real_fsync = os.fsync

    def failing_fsync(descriptor: int) -> None:
        path.write_bytes(path.read_bytes()[:-10])  # only part of it has arrived
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", failing_fsync)
    assert not await store.append(CID, question(2))
    monkeypatch.setattr("os.fsync", real_fsync)
    assert await store.append(CID, question(3))
    assert [line["id"] for line in lines_of(path)] == [1, 2, 3]


async def test_an_unreadable_history_is_an_empty_one(opened, path, caplog):
    path.mkdir(parents=True)
    store = await opened()
    assert await store.recent(CID) == []
    assert [r.message for r in caplog.records] == ["history cannot be read, starting empty"]


async def test_a_directory_that_cannot_be_made_is_an_error_at_the_start(tmp_path):
    (tmp_path / "history").write_text("a file")
    with pytest.raises(OSError, match=r"exists|directory"):
        await HistoryStore(tmp_path / "history").open()


# ---------------------------------------------------------------------- one person's data


async def test_deleting_a_person_leaves_no_byte_of_theirs(opened, tmp_path):
    store = await opened(records_kept=5)
    person = 4_242_424_242
    for cid in (1, 2, 3):
        await store.append(cid, question(10, "Bob asks", by=BOB), answer(10, "for Bob"))
        await store.append(cid, question(11, "SECRET words", by=person))
        await store.append(cid, question(11, "SECRET words, edited", by=person))
        await store.append(cid, answer(11, "you said SECRET"))
        quote = Quote(11, f"Person {person}", "SECRET words")
        await store.append(cid, question(12, "Bob replies", by=BOB, quote=quote))
        await store.append(cid, *(question(100 + i, by=BOB) for i in range(10)))
    with (tmp_path / "history" / "3.jsonl").open("ab") as file:
        file.write(b'{"id":13,"role":"user","text":"SECRET tail","author_id":4242424242')

    again = await opened(records_kept=5)
    assert await again.delete_user(person) == 3 * 3
    for file in (tmp_path / "history").iterdir():
        content = file.read_text()
        assert "SECRET" not in content
        assert str(person) not in content
        assert "Bob replies" in content
        assert "for Bob" in content
    assert await again.delete_user(person) == 0


async def test_a_deleted_person_is_gone_from_memory_too(opened):
    store = await opened()
    await store.append(CID, question(1), answer(1), question(2, by=BOB), answer(2))
    assert await store.delete_user(ADA) == 2
    assert await texts(store) == ["question 2", "answer 2"]
    await store.append(CID, question(3, by=BOB))
    assert await texts(await opened()) == ["question 2", "answer 2", "question 3"]


async def test_a_deleted_person_is_gone_from_what_waits_for_the_disk(opened, path, monkeypatch):
    store = await opened()
    await store.append(CID, question(1), question(2, by=BOB))

    def failing_fsync(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", failing_fsync)
        assert not await store.append(CID, question(3), question(4, by=BOB))
    await store.delete_user(ADA)
    assert await texts(store) == ["question 2", "question 4"]
    await store.append(CID, question(5, by=BOB))
    assert b"Ada" not in path.read_bytes()
    assert await texts(await opened()) == ["question 2", "question 4", "question 5"]


async def test_a_message_that_comes_while_a_person_is_deleted_is_kept(opened):
    store = await opened()
    await store.append(CID, question(1), *(question(i, by=BOB) for i in range(2, 30)))
    await asyncio.gather(
        store.delete_user(ADA), *(store.append(CID, question(i, by=BOB)) for i in range(30, 60))
    )
    expected = [f"question {i}" for i in range(20, 60)]
    assert await texts(store) == expected
    assert await texts(await opened()) == expected


async def test_answers_to_others_that_repeat_or_name_a_deleted_person_go_with_them(opened, path):
    store = await opened()
    await store.append(CID, question(1, "my parrot is called Xanthippe"), answer(1))
    await store.append(CID, question(2, "what did she say?", by=BOB), answer(2, "Xanthippe!"))
    await store.append(CID, question(3, "who?", by=BOB), answer(3, "It was Ada, of course."))
    await store.append(CID, question(4, "the parrot?", by=BOB), answer(4, "A parrot, adapted."))
    await store.delete_user(ADA)
    assert await texts(store) == [
        "what did she say?",
        "who?",
        "the parrot?",
        "A parrot, adapted.",
    ]
    assert b"Xanthippe" not in path.read_bytes()


async def test_a_deleted_message_leaves_the_file_and_so_does_what_it_said_before_an_edit(
    opened, path
):
    store = await opened()
    await store.append(CID, question(1, "PASTED by mistake"), answer(1, "about PASTED"))
    await store.append(CID, question(2), answer(2))
    await store.append(CID, question(2, "question 2, edited"))
    quote = Quote(1, "Ada", "PASTED by mistake")
    await store.append(CID, question(3, "look", by=BOB, quote=quote))
    await store.forget_messages(CID, [1])
    await store.aclose()
    content = path.read_text()
    assert "PASTED" not in content
    assert '"question 2"' not in content
    assert await texts(await opened()) == ["question 2, edited", "answer 2", "look"]


async def test_nothing_of_who_wants_nothing_kept_reaches_the_disk(tmp_path, path):
    store = HistoryStore(path.parent, is_paused=lambda user_id: user_id == ADA)
    await store.open()
    quote = Quote(1, "Ada", "words of Ada", author_id=ADA)
    await store.append(CID, question(1, "words of Ada"))
    await store.append(CID, answer(1, "an answer to words of Ada"))
    await store.append(CID, question(2, "hello", by=BOB, quote=quote), answer(2))
    await store.aclose()
    assert "words of Ada" not in path.read_text()
    assert await texts(store) == ["hello", "answer 2"]


async def test_what_memory_no_longer_holds_is_read_from_the_file(opened):
    store = await opened(records_kept=4)
    await store.append(CID, *(question(i) for i in range(1, 21)))
    assert [r.id for r in await store.since(CID, 18, limit=100)] == [19, 20]
    assert [r.id for r in await store.since(CID, 5, up_to=8, limit=100)] == [6, 7, 8]
    assert [r.id for r in await store.since(CID, 0, limit=3)] == [18, 19, 20]


async def test_what_a_killed_process_left_unfinished_is_removed(opened, path):
    path.parent.mkdir()
    unfinished = path.with_name(path.name + ".new")
    unfinished.write_text("half a file")
    await opened()
    assert not unfinished.exists()
