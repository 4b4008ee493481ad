"""Profiles on a real disk: what is kept, where it is used, what gives way, what never comes in."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from services import atomic_write
from services.profile_store import (
    MAX_FACT_CHARS,
    MAX_FACTS,
    MAX_RELEVANT,
    Fact,
    FactKind,
    FactSource,
    NotKeptError,
    ProfileDiskError,
    ProfileFullError,
    ProfileStore,
    guess_kind,
)
from tests.fakes.conversation import ADA, BOB, GUILD

OTHER_GUILD = 10
LEARNED, REMEMBERED = FactSource.LEARNED, FactSource.REMEMBERED


@pytest.fixture
async def opened(tmp_path):
    """Opens stores on the same directory; each is a process of its own to the files."""
    now = iter(range(1, 1_000_000))

    async def opened(**options: Any) -> ProfileStore:
        options.setdefault("clock", lambda: float(next(now)))
        store = ProfileStore(tmp_path / "profiles", **options)
        await store.open()
        return store

    return opened


@pytest.fixture
async def store(opened):
    return await opened()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "profiles" / f"{ADA}.json"


async def keep(store: ProfileStore, text: str, **fields: Any) -> Fact:
    fields = {
        "kind": FactKind.FACT,
        "source": REMEMBERED,
        "guild_id": GUILD,
        "message_id": 1,
        **fields,
    }
    return await store.remember(fields.pop("user_id", ADA), text, **fields)


async def texts(store: ProfileStore, user_id: int = ADA) -> list[str]:
    return [fact.text for fact in await store.facts(user_id)]


async def used(store: ProfileStore, message: str, guild_id: int | None = GUILD) -> list[str]:
    return [fact.text for fact in await store.relevant(ADA, message, guild_id=guild_id)]


# ---------------------------------------------------------------------- keeping


async def test_what_was_remembered_is_there_after_a_restart(opened, store):
    kept = [
        await keep(store, "lives in Graz 👋"),
        await keep(store, "Ada", kind=FactKind.NAME, guild_id=None, source=LEARNED),
    ]
    assert [fact.id for fact in kept] == [1, 2]
    assert await (await opened()).facts(ADA) == tuple(kept)


async def test_an_id_is_never_given_twice(opened, store):
    await keep(store, "likes jazz")
    await store.forget(ADA, 1)
    assert (await keep(store, "likes blues")).id == 2
    await store.forget(ADA, None)
    assert (await keep(await opened(), "likes folk")).id == 3


async def test_a_text_becomes_one_line_without_hidden_characters(store):
    assert (await keep(store, " likes\n\tjazz\x00 and\u200b tea ")).text == "likes jazz and tea"


async def test_the_same_words_replace_the_older_fact(store):
    await keep(store, "Likes jazz.")
    fact = await keep(store, "likes  JAZZ", source=LEARNED)
    assert await store.facts(ADA) == (fact,)
    assert fact.source is REMEMBERED  # it was asked for once


async def test_a_new_name_replaces_the_old_one_where_it_was_said(store):
    await keep(store, "Ada", kind=FactKind.NAME)
    await keep(store, "Countess", kind=FactKind.NAME, guild_id=None)
    await keep(store, "Lovelace", kind=FactKind.NAME)
    assert await texts(store) == ["Countess", "Lovelace"]


async def test_the_oldest_learned_fact_gives_way_and_remembered_ones_never(store):
    await keep(store, "remembered first")
    for number in range(MAX_FACTS - 1):
        await keep(store, f"learned {number}", source=LEARNED)
    await keep(store, "one more")
    kept = await texts(store)
    assert len(kept) == MAX_FACTS
    assert kept[:2] == ["remembered first", "learned 1"]


async def test_a_profile_full_of_remembered_facts_says_so(store):
    for number in range(MAX_FACTS):
        await keep(store, f"fact {number}")
    for source in (REMEMBERED, LEARNED):
        with pytest.raises(ProfileFullError) as raised:
            await keep(store, "one more", source=source)
        assert "/profile forget" in raised.value.sentence
    await keep(store, "Fact 3!")  # a replacement needs no room
    assert len(await texts(store)) == MAX_FACTS


async def test_concurrent_facts_are_all_kept(opened, store):
    await asyncio.gather(*(keep(store, f"fact {number}") for number in range(MAX_FACTS)))
    again = await opened()
    assert len(set(await texts(again))) == MAX_FACTS
    assert len({fact.id for fact in await again.facts(ADA)}) == MAX_FACTS


async def test_a_cancelled_write_leaves_memory_and_disk_alike(opened, store, monkeypatch):
    await keep(store, "first")
    changed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def replace_file(path: Path, content: bytes) -> None:
        loop.call_soon_threadsafe(changed.set)
        atomic_write.replace_file(path, content)

    monkeypatch.setattr("services.profile_store.replace_file", replace_file)
    task = asyncio.create_task(keep(store, "second"))
    await changed.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.aclose()
    assert await texts(await opened()) == await texts(store) == ["first", "second"]


async def test_a_fact_does_not_show_its_text_in_a_repr(store):
    assert "Graz" not in repr(await keep(store, "lives in Graz"))


# ---------------------------------------------------------------------- where it is used


async def test_a_fact_is_used_where_it_was_said_and_in_ones_direct_messages(store):
    await keep(store, "has a cat named Mia")
    assert await used(store, "my cat?", GUILD) == ["has a cat named Mia"]
    assert await used(store, "my cat?", None) == ["has a cat named Mia"]
    assert await used(store, "my cat?", OTHER_GUILD) == []


@pytest.mark.parametrize("across_servers", [False, True])
async def test_direct_messages_never_leave_them(opened, across_servers):
    store = await opened(across_servers=across_servers)
    for kind in FactKind:
        await keep(store, f"secret cat {kind}", kind=kind, guild_id=None)
    assert await used(store, "what do you know about me and my secret cat?", GUILD) == []
    assert len(await used(store, "what do you know about me?", None)) == len(FactKind)


async def test_a_duplicate_from_direct_messages_takes_nothing_from_the_server(store):
    await keep(store, "has a cat")
    await keep(store, "has a cat", guild_id=None)
    assert await used(store, "my cat?", GUILD) == ["has a cat"]
    assert await used(store, "my cat?", None) == ["has a cat"]


async def test_an_operator_can_let_facts_cross_servers(opened):
    store = await opened(across_servers=True)
    await keep(store, "has a cat")
    assert await used(store, "my cat?", OTHER_GUILD) == ["has a cat"]


async def test_of_several_names_the_one_said_here_is_used(opened):
    store = await opened(across_servers=True)
    await keep(store, "Ada", kind=FactKind.NAME)
    await keep(store, "Countess", kind=FactKind.NAME, guild_id=OTHER_GUILD)
    await keep(store, "Ace", kind=FactKind.NAME, guild_id=None)
    assert await used(store, "hi", GUILD) == ["Ada"]
    assert await used(store, "hi", OTHER_GUILD) == ["Countess"]
    assert await used(store, "hi", 11) == ["Countess"]  # the newest
    assert await used(store, "hi", None) == ["Ace"]


# ---------------------------------------------------------------------- relevance


async def test_name_language_and_preferences_always_matter_and_facts_when_they_fit(store):
    await keep(store, "has a dog named Rex")
    await keep(store, "keep it short", kind=FactKind.PREFERENCE)
    await keep(store, "answer in German", kind=FactKind.LANGUAGE)
    await keep(store, "Ada", kind=FactKind.NAME)
    always = ["Ada", "answer in German", "keep it short"]
    assert sorted(await used(store, "how tall is Mont Blanc")) == sorted(always)
    assert await used(store, "is the dog hungry") == [
        *await used(store, "hi"),
        "has a dog named Rex",
    ]


@pytest.mark.parametrize(
    ("fact", "message"),
    [
        ("lives in Graz", "weather in graz tomorrow"),
        ("has two Katzen", "Katze entlaufen, was tun"),
        ("is a vegetarian", "ein vegetarisches Rezept bitte"),
        ("j'ai un chien qui s'appelle Rex", "le chien aboie"),
        ("trabajo como enfermero", "turnos de enfermeros en el hospital"),
        ("я живу в Казани", "погода в Казань на завтра"),
        ("我住在成都", "成都的天气"),
        ("寿司が好きです", "寿司の作り方"),
        ("저는 부산에 살아요", "부산 날씨 알려줘"),
        ("أسكن في القاهرة", "الطقس في القاهرة"),
        ("मैं पुणे में रहता हूँ", "पुणे का मौसम"),
        ("ผมอยู่เชียงใหม่", "อากาศเชียงใหม่"),
        ("was born in 1984", "music of 1984"),
    ],
)
async def test_a_fact_that_shares_a_content_word_matters(store, fact, message):
    await keep(store, fact)
    await keep(store, "plays the trombone")
    assert await used(store, message) == [fact]


@pytest.mark.parametrize(
    "message",
    [
        "what do you know about me",
        "who am i?",
        "what's my hobby?",
        "where do I live?",
        "was weißt du über mich",
        "wo wohne ich?",
        "que sais-tu sur moi ?",
        "où est-ce que j'habite ?",
        "¿qué sabes de mí?",
        "o que você sabe sobre mim? quem sou?",
        "cosa sai di me",
        "co o mnie wiesz",
        "что ты знаешь обо мне",
        "你知道我住在哪里吗",
        "我是谁",
        "私のこと知ってる",
        "내 취미가 뭐야?",
        "من أنا",
    ],
)
async def test_a_question_about_oneself_brings_the_facts(store, message):
    await keep(store, "xylophone zither")
    assert await used(store, message) == ["xylophone zither"]


@pytest.mark.parametrize(
    "message",
    [
        "hi",
        "lol nice",
        "how do I like this",
        "I live for this",
        "ich mag das",
        "我喜欢这个",
        "です",
        "",
    ],
)
async def test_common_words_bring_nothing(store, message):
    for fact in ("likes jazz and lives in Graz", "ich mag Jazz", "我喜欢猫", "学生です"):
        await keep(store, fact)
    assert await used(store, message) == []


async def test_at_most_six_facts_are_used_and_those_that_fit_have_room(store):
    for number in range(8):
        await keep(store, f"answer in style {number}", kind=FactKind.PREFERENCE)
        await keep(store, f"owns cat number {number}00")
    facts = await store.relevant(ADA, "tell my cat 300 something", guild_id=GUILD)
    assert len(facts) == MAX_RELEVANT
    fitting = [fact.text for fact in facts if fact.kind is FactKind.FACT]
    assert len(fitting) == 3
    assert fitting[0] == "owns cat number 300"


# ---------------------------------------------------------------------- never kept


@pytest.mark.parametrize("source", list(FactSource))
@pytest.mark.parametrize(
    "text",
    [
        "my password is hunter2",
        "mein Passwort ist Sommer",
        "мой пароль qwerty",
        "我的密码是abc",
        "my PIN is 4711",
        "key sk-abcdefghijklmnop1234",
        "token ghp_0123456789abcdefghij",
        "uses aB3dE5gH7jK9mN1pQ3rS5",
        "-----BEGIN PRIVATE KEY-----",
        "card 4111 1111 1111 1111",
        "card 4111-1111-1111-1111",
        "AT61 1904 3002 3457 3201",
        "de89370400440532013000 is mine",
        "write to ada@example.org",
        "call +43 664 1234567",
        "0664/1234567",
        "(555) 123-4567",
        "06 12 34 56 78",
        "my phone number is 555 1234",
        "13812345678",
    ],
)
async def test_secrets_are_never_kept_whoever_asks(store, text, source, path):
    with pytest.raises(NotKeptError) as raised:
        await keep(store, text, source=source)
    assert text not in f"{raised.value} {raised.value.sentence}"
    assert await texts(store) == []
    assert not path.exists()


@pytest.mark.parametrize(
    "text",
    [
        "has diabetes",
        "ist schwanger",
        "alérgico a las nueces",
        "болен гриппом",
        "我有糖尿病",
        "うつ病です",
        "is Catholic",
        "ist Muslim",
        "votes for the greens",
        "is a lesbian",
        "ist schwul",
        "is Hispanic",
        "was in prison",
        "lives at 12 Main Street",
        "wohnt in der Hauptstraße 5",
        "habite 5 rue Victor Hugo",
        "vive en calle Mayor 7",
        "住在中山路12号",
    ],
)
async def test_delicate_things_are_kept_only_when_asked(store, text):
    with pytest.raises(NotKeptError):
        await keep(store, text, source=LEARNED)
    assert (await keep(store, text)).text == text


@pytest.mark.parametrize(
    "text",
    [
        "lives in Graz",
        "is a vegan",
        "birthday is 03/05/1990",
        "born on 1990-05-03",
        "生日是5月3号",
        "moved here on 05.03.2019",
        "has 12 cats and 3 dogs",
        "works as a race driver in Rome",
        "earned 1,000,000 points",
        "vive a Roma hasta 2027",
        "site is https://example.org/about-me",
    ],
)
async def test_harmless_facts_pass(store, text):
    assert (await keep(store, text, source=LEARNED)).text == text


async def test_a_name_may_be_a_delicate_word(store):
    assert await keep(store, "Christian", kind=FactKind.NAME, source=LEARNED)


@pytest.mark.parametrize("text", ["", " \n", "…!", "x" * (MAX_FACT_CHARS + 1)])
async def test_nothing_and_too_much_are_refused_with_a_sentence(store, text):
    with pytest.raises(NotKeptError) as raised:
        await keep(store, text)
    assert raised.value.sentence.endswith(".")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("my name is Ada", FactKind.NAME),
        ("nenn mich Ada", FactKind.NAME),
        ("меня зовут Ада", FactKind.NAME),
        ("我叫小明", FactKind.NAME),
        ("answer in German please", FactKind.LANGUAGE),
        ("antworte mir auf Deutsch", FactKind.LANGUAGE),
        ("responde en español", FactKind.LANGUAGE),
        ("请用英文回答", FactKind.LANGUAGE),
        ("日本語で答えて", FactKind.LANGUAGE),
        ("keep it short", FactKind.PREFERENCE),
        ("use bullet points", FactKind.PREFERENCE),
        ("duze mich", FactKind.PREFERENCE),
        ("I live in Graz", FactKind.FACT),
        ("I like German food", FactKind.FACT),
        ("ich wohne in Graz", FactKind.FACT),
    ],
)
def test_the_kind_of_ones_own_words_is_guessed(text, kind):
    assert guess_kind(text) is kind


# ---------------------------------------------------------------------- forgetting


async def test_one_fact_or_everything_can_be_forgotten(opened, store):
    first, second = await keep(store, "first"), await keep(store, "second")
    await keep(store, "of Bob", user_id=BOB)
    assert await store.forget(ADA, first.id) == 1
    assert await store.forget(ADA, first.id) == 0
    assert await store.facts(ADA) == (second,)
    assert await store.forget(ADA, None) == 1
    assert await store.forget(99, None) == 0
    again = await opened()
    assert await texts(again) == []
    assert await texts(again, BOB) == ["of Bob"]


async def test_a_deleted_person_leaves_no_file(opened, store, path):
    await keep(store, "first")
    await keep(store, "of Bob", user_id=BOB)
    for name in (f"{path.name}.damaged", f"{path.name}.new"):
        path.with_name(name).write_text("first", encoding="utf-8")
    assert await store.delete_user(ADA) == 1
    assert [file.name for file in path.parent.iterdir()] == [f"{BOB}.json"]
    assert await texts(store) == []
    assert store.peek(ADA) == ()
    assert await store.delete_user(ADA) == 0
    await store.aclose()
    assert await texts(await opened()) == []


async def test_the_export_has_everything_of_one_person(store):
    await keep(store, "lives in Graz", message_id=7)
    await keep(store, "of Bob", user_id=BOB)
    (entry,) = await store.export_user(ADA)
    assert entry == {
        "id": 1,
        "text": "lives in Graz",
        "kind": "fact",
        "source": "remembered",
        "guild_id": GUILD,
        "message_id": 7,
        "at": 1.0,
    }
    assert json.loads(json.dumps(entry)) == entry
    assert await store.export_user(99) == []


async def test_listeners_hear_of_each_change_and_of_nothing_else(store):
    heard: list[int] = []
    store.subscribe(heard.append)
    await keep(store, "first")
    await store.facts(ADA)
    await store.forget(ADA, 99)
    assert heard == [ADA]
    await store.forget(ADA, 1)
    await store.delete_user(BOB)
    assert heard == [ADA, ADA, BOB]


# ---------------------------------------------------------------------- memory and disk


async def test_people_without_a_profile_cost_no_disk_access(store, path):
    path.parent.rmdir()  # reading anything would fail
    assert await store.facts(ADA) == ()
    assert await used(store, "who am i") == []
    assert store.peek(ADA) == ()


async def test_peek_answers_from_memory_alone(opened, store):
    fact = await keep(store, "first")
    assert store.peek(ADA) == (fact,)
    again = await opened()
    assert again.peek(ADA) is None
    await again.facts(ADA)
    assert again.peek(ADA) == (fact,)


async def test_the_least_recently_used_profile_leaves_memory_first(opened, store):
    for user_id in (1, 2, 3):
        await keep(store, "fact", user_id=user_id)
    small = await opened(max_profiles=2)
    for user_id in (1, 2, 1, 3):
        await small.facts(user_id)
    assert [small.peek(user_id) is None for user_id in (1, 2, 3)] == [False, True, False]
    for user_id in (4, 5, 6):
        await keep(small, "fact", user_id=user_id)
    assert [small.peek(user_id) is None for user_id in (3, 4, 5, 6)] == [True, True, False, False]
    assert await texts(small, 4) == ["fact"]


async def test_a_damaged_file_is_set_aside_with_one_warning(opened, path, caplog):
    store = await opened()
    for content in (b"{half", b'["no object"]', b'{"facts": 7, "next_id": 1}', b"\xff\xfe"):
        path.write_bytes(content)
        caplog.clear()
        again = await opened()
        assert await texts(again) == []
        assert await texts(again) == []
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert path.with_name(f"{path.name}.damaged").read_bytes() == content
    await keep(store, "anew")
    assert await texts(await opened()) == ["anew"]


async def test_a_damaged_fact_is_passed_over_and_its_id_not_reused(opened, store, path, caplog):
    for text in ("first", "second"):
        await keep(store, text)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["facts"][0]["kind"] = "no kind"
    content["facts"].append(7)
    content["next_id"] = 1
    path.write_text(json.dumps(content), encoding="utf-8")
    again = await opened()
    assert await texts(again) == ["second"]
    assert len(caplog.records) == 1
    assert (await keep(again, "third")).id == 3


async def test_what_a_crash_left_half_written_is_cleared_at_the_start(opened, store, path):
    await keep(store, "first")
    path.with_name(f"{path.name}.new").write_text("half", encoding="utf-8")
    again = await opened()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert await texts(again) == ["first"]


async def test_a_disk_that_refuses_costs_no_answer_and_is_said_once(
    opened, store, monkeypatch, caplog
):
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("services.profile_store.replace_file", refuse)
        await keep(store, "first")
        await keep(store, "second")
        assert await used(store, "what do you know about me") == ["second", "first"]
        with pytest.raises(ProfileDiskError):
            await store.forget(ADA, 1)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "first" not in caplog.text
    await store.aclose()
    assert await texts(await opened()) == ["second"]


@pytest.mark.skipif(os.name == "nt", reason="a directory in the file's place reads otherwise there")
async def test_a_file_that_cannot_be_read_is_not_written_over(opened, path, caplog):
    store = await opened()
    path.mkdir()
    again = await opened()
    assert await again.facts(ADA) == ()
    assert await used(again, "who am i") == []
    with pytest.raises(ProfileDiskError):
        await keep(again, "anew")
    assert len(caplog.records) == 1
    assert path.is_dir()
    with pytest.raises(IsADirectoryError):
        await again.export_user(ADA)
    await store.aclose()


async def test_ten_thousand_profiles_are_listed_and_none_is_read(opened, store, path, monkeypatch):
    for user_id in range(1000, 11_000):
        path.with_name(f"{user_id}.json").write_bytes(b'{"next_id":1,"facts":[]}')
    path.with_name("notes.txt").write_bytes(b"no profile")
    read: list[str] = []
    monkeypatch.setattr("services.profile_store._read_profile", lambda path: read.append(path.name))
    many = await opened()
    assert many.peek(5000) is None
    assert many.peek(999) == ()
    assert read == []
