"""Personal data: one person's data are shown and deleted as one, whatever fails on the way."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from services import personal_data
from services.personal_data import ExportError, ForgetError, PauseError, PersonalData

ADA, BOB = 81384788765712384, 81384788765712385


class NoteStore:
    """Notes in memory, on a disk that can fail."""

    holds = "Notes, until they are deleted."

    def __init__(self, *notes: tuple[int, str], log: list[str] | None = None) -> None:
        self.notes = list(notes)
        self.failing: Exception | None = None
        self.may_delete = asyncio.Event()
        self.may_delete.set()
        self.deleting = asyncio.Event()
        self._log = log if log is not None else []

    async def export_user(self, user_id: int) -> object:
        if self.failing:
            raise self.failing
        return [{"by": by, "text": text, "seen": 1} for by, text in self.notes if by == user_id]

    async def delete_user(self, user_id: int) -> int:
        self._log.append(type(self).__name__)
        self.deleting.set()
        await self.may_delete.wait()
        if self.failing:
            raise self.failing
        before = len(self.notes)
        self.notes = [note for note in self.notes if note[0] != user_id]
        return before - len(self.notes)


class TeaTimeStore(NoteStore):
    holds = "Tea times, for a day."


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "privacy.json"


async def opened(path, *stores) -> PersonalData:
    data = PersonalData(stores=stores, path=path)
    await data.open()
    return data


def wishes(path):
    return json.loads(path.read_bytes())


# ---------------------------------------------------------------------- forgetting


async def test_every_store_forgets_in_order_and_the_entries_are_counted(path):
    log: list[str] = []
    notes = NoteStore((ADA, "a"), (BOB, "b"), (ADA, "c"), log=log)
    teas = TeaTimeStore((ADA, "five"), log=log)
    data = await opened(path, notes, teas)
    assert await data.forget(ADA) == 3
    assert log == ["NoteStore", "TeaTimeStore"]
    assert notes.notes == [(BOB, "b")]
    assert wishes(path) == {"paused": [], "forgetting": []}


async def test_the_intent_is_on_disk_before_the_first_store_deletes(path):
    notes = NoteStore((ADA, "a"))
    notes.may_delete.clear()
    data = await opened(path, notes)
    forgetting = asyncio.create_task(data.forget(ADA))
    await notes.deleting.wait()
    assert wishes(path)["forgetting"] == [ADA]
    notes.may_delete.set()
    await forgetting
    assert wishes(path)["forgetting"] == []


async def test_a_failing_store_keeps_nobody_in_the_others_and_the_intent_stays(path):
    notes, teas = NoteStore((ADA, "secret plum")), TeaTimeStore((ADA, "five"))
    notes.failing = OSError(28, "No space left on device")
    data = await opened(path, notes, teas)
    with pytest.raises(ForgetError, match="NoteStore: No space left on device") as failed:
        await data.forget(ADA)
    assert "I will try again at my next start" in failed.value.sentence
    assert teas.notes == []
    assert wishes(path)["forgetting"] == [ADA]
    assert data.is_paused(ADA)


async def test_a_fault_in_a_store_is_told_without_the_words_it_stumbled_over(path):
    notes, teas = NoteStore((ADA, "x")), TeaTimeStore((ADA, "five"))
    notes.failing = KeyError("secret plum")
    data = await opened(path, notes, teas)
    with pytest.raises(ForgetError) as failed:
        await data.forget(ADA)
    assert str(failed.value) == "NoteStore: KeyError"
    assert teas.notes == []


async def test_concurrent_wishes_of_one_person_share_one_run(path):
    log: list[str] = []
    notes = NoteStore((ADA, "a"), (BOB, "b"), log=log)
    notes.may_delete.clear()
    data = await opened(path, notes)
    runs = [asyncio.create_task(data.forget(ADA)) for _ in range(3)]
    await notes.deleting.wait()
    notes.may_delete.set()
    assert await asyncio.gather(*runs) == [1, 1, 1]
    assert log == ["NoteStore"]
    assert await data.forget(ADA) == 0
    assert log == ["NoteStore", "NoteStore"]


async def test_two_people_are_forgotten_at_the_same_time(path):
    notes = NoteStore((ADA, "a"), (BOB, "b"))
    data = await opened(path, notes)
    assert list(await asyncio.gather(data.forget(ADA), data.forget(BOB))) == [1, 1]
    assert wishes(path)["forgetting"] == []


async def test_a_caller_that_gives_up_does_not_stop_it(path):
    notes = NoteStore((ADA, "a"))
    notes.may_delete.clear()
    data = await opened(path, notes)
    caller = asyncio.create_task(data.forget(ADA))
    await notes.deleting.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    notes.may_delete.set()
    await data.aclose()
    assert notes.notes == []
    assert wishes(path)["forgetting"] == []


async def test_nothing_is_kept_of_a_person_while_being_forgotten(path):
    notes = NoteStore((ADA, "a"))
    notes.may_delete.clear()
    data = await opened(path, notes)
    forgetting = asyncio.create_task(data.forget(ADA))
    await notes.deleting.wait()
    assert data.is_paused(ADA)
    assert not data.is_paused(BOB)
    notes.may_delete.set()
    await forgetting
    assert not data.is_paused(ADA)


async def test_a_start_finishes_what_the_last_process_did_not(path):
    path.parent.mkdir()
    path.write_text(json.dumps({"paused": [BOB], "forgetting": [ADA]}))
    notes = NoteStore((ADA, "a"), (BOB, "b"))
    data = await opened(path, notes)
    assert notes.notes == [(BOB, "b")]
    assert wishes(path) == {"paused": [BOB], "forgetting": []}
    assert data.is_paused(BOB)


async def test_a_start_on_a_failing_disk_tells_the_operator_once_and_tries_at_the_next(
    path, caplog
):
    path.parent.mkdir()
    path.write_text(json.dumps({"paused": [], "forgetting": [ADA]}))
    notes = NoteStore((ADA, "a"))
    notes.failing = OSError(5, "Input/output error")
    await opened(path, notes)
    (record,) = caplog.records
    assert record.message == "deletion could not be finished"
    notes.failing = None
    await opened(path, notes)
    assert notes.notes == []
    assert wishes(path)["forgetting"] == []


async def test_a_disk_that_takes_no_intent_is_deleted_from_all_the_same(path, monkeypatch):
    notes = NoteStore((ADA, "a"))
    data = await opened(path, notes)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(personal_data, "replace_file", refuse)
    assert await data.forget(ADA) == 1
    assert notes.notes == []
    notes.failing = OSError(28, "No space left on device")
    with pytest.raises(ForgetError) as failed:
        await data.forget(ADA)
    # No start will know of it, so none is promised.
    assert failed.value.sentence == "I could not delete everything. Please ask me again later."


# ---------------------------------------------------------------------- pausing


async def test_a_pause_outlives_the_process_and_a_deletion(path):
    data = await opened(path, NoteStore())
    assert not data.is_paused(ADA)
    await data.pause(ADA, True)
    await data.forget(ADA)
    assert data.is_paused(ADA)
    again = await opened(path, NoteStore())
    assert again.is_paused(ADA)
    assert not again.is_paused(BOB)
    await again.pause(ADA, False)
    assert not (await opened(path, NoteStore())).is_paused(ADA)


async def test_a_pause_that_cannot_be_written_holds_and_is_told(path, monkeypatch):
    data = await opened(path, NoteStore())

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(personal_data, "replace_file", refuse)
    with pytest.raises(PauseError, match="No space left"):
        await data.pause(ADA, True)
    assert data.is_paused(ADA)


async def test_damaged_wishes_are_set_aside_with_one_warning(path, caplog):
    path.parent.mkdir()
    path.write_bytes(b'{"paused": [813')
    data = await opened(path, NoteStore())
    assert not data.is_paused(ADA)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert path.with_name("privacy.json.damaged").read_bytes() == b'{"paused": [813'
    await data.pause(ADA, True)
    assert wishes(path)["paused"] == [ADA]


@pytest.mark.parametrize(
    "content", [b"[]", b"{}", b"\xff", b'{"paused": [null], "forgetting": []}']
)
async def test_every_kind_of_damage_is_passed_over(path, caplog, content):
    path.parent.mkdir()
    path.write_bytes(content)
    await opened(path, NoteStore())
    assert len(caplog.records) == 1


async def test_wishes_that_cannot_be_read_are_kept_and_nothing_of_anybody(path, caplog):
    path.mkdir(parents=True)  # reading it fails, as on a broken disk
    data = await opened(path, NoteStore((ADA, "a")))
    assert data.is_paused(ADA)
    assert len(caplog.records) == 1
    with pytest.raises(PauseError):
        await data.pause(ADA, False)
    assert await data.forget(ADA) == 1
    assert path.is_dir()


# ---------------------------------------------------------------------- showing


async def test_an_export_holds_one_key_a_store_and_can_be_read(path):
    notes, teas = NoteStore((ADA, "grüß dich 🍵"), (BOB, "not hers")), TeaTimeStore()
    data = await opened(path, notes, teas)
    document = await data.export(ADA)
    text = document.decode("utf-8")
    assert "not hers" not in text
    assert "grüß dich 🍵" in text
    assert len(text.splitlines()) > 5
    content = json.loads(text)
    assert content.pop("exported_at").endswith("+00:00")
    assert content == {
        "user_id": str(ADA),
        "paused": False,
        "note": [{"by": str(ADA), "text": "grüß dich 🍵", "seen": 1}],
        "tea_time": [],
    }


async def test_an_export_with_text_that_is_no_unicode_can_still_be_read(path):
    data = await opened(path, NoteStore((ADA, "half a pair: \ud83d")))
    assert json.loads(await data.export(ADA))["note"][0]["text"] == "half a pair: ?"


async def test_an_export_is_whole_or_refused(path):
    notes = NoteStore((ADA, "a"))
    notes.failing = OSError(5, "Input/output error")
    data = await opened(path, TeaTimeStore(), notes)
    with pytest.raises(ExportError, match="NoteStore: Input/output error"):
        await data.export(ADA)


async def test_holdings_are_one_line_a_store(path):
    data = await opened(path, NoteStore(), TeaTimeStore())
    assert data.holdings() == ["Notes, until they are deleted.", "Tea times, for a day."]


async def test_the_file_holds_ids_and_nothing_else(path):
    data = await opened(path, NoteStore((ADA, "a")))
    await data.pause(ADA, True)
    assert path.read_text() == f'{{"paused": [{ADA}], "forgetting": []}}'
    assert os.listdir(path.parent) == ["privacy.json"]
