"""Usage on a real disk in virtual time, and the quotas that are held against it."""

from __future__ import annotations

import asyncio
import json
import os

import pytest

from services.usage import BOT_ITSELF, QuotaError, Quotas, Tally, UsageStore
from tests.fakes.virtual_time import in_virtual_time, now_s

ADA, BOB = 5, 6
GUILD = 10
DAY_S = 86_400
MIDNIGHT = 1_767_225_600  # 2026-01-01, UTC
TODAY = "2026-01-01"


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock(MIDNIGHT + 100.25)


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "usage"


@pytest.fixture
def opened(directory, clock):
    """Opens stores on the same directory; each is a process of its own to the files."""

    async def opened(**options):
        store = UsageStore(directory, clock=clock, **options)
        await store.open()
        return store

    return opened


def use(store, user_id=ADA, *, guild_id=GUILD, model="m", prompt=100, cached=0, completion=10):
    store.record(
        user_id=user_id,
        guild_id=guild_id,
        answers=int(user_id != BOT_ITSELF),
        model=model,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=cached,
    )


def on_disk(directory, day=TODAY):
    return json.loads((directory / f"{day}.json").read_bytes())


# ---------------------------------------------------------------------- counting


@in_virtual_time
async def test_answers_and_tokens_add_up_by_person_server_and_model(opened):
    store = await opened()
    use(store, cached=40)
    use(store, guild_id=None, model="n")
    use(store, BOB)
    assert store.user_today(ADA) == Tally(2, 200, 40, 20)
    assert store.user_today(ADA).tokens == 220
    assert store.guild_today(GUILD) == Tally(2, 200, 40, 20)
    assert store.today().models == {"m": Tally(2, 200, 40, 20), "n": Tally(1, 100, 0, 10)}
    assert store.today().total == Tally(3, 300, 40, 30)
    assert store.user_today(7) == Tally()
    await store.aclose()


@in_virtual_time
async def test_work_of_the_bots_own_costs_its_server_tokens_and_is_no_answer(opened):
    store = await opened()
    use(store, BOT_ITSELF)
    assert store.guild_today(GUILD) == Tally(0, 100, 0, 10)
    assert store.today().of_user(BOT_ITSELF).tokens == 110
    assert store.today().top_users(10) == []
    await store.aclose()


@in_virtual_time
async def test_the_top_are_those_with_most_tokens_and_not_more_than_asked_for(opened):
    store = await opened()
    for user_id, tokens in ((1, 50), (2, 300), (3, 200), (4, 300)):
        use(store, user_id, prompt=tokens, completion=0, model=f"model {user_id}")
    assert [user_id for user_id, _ in store.today().top_users(3)] == [2, 4, 3]
    assert [model for model, _ in store.today().top_models(2)] == ["model 2", "model 4"]
    await store.aclose()


@in_virtual_time
async def test_a_day_begins_at_midnight_utc(opened, clock):
    store = await opened()
    clock.now = MIDNIGHT + DAY_S - 0.5
    use(store)
    clock.now = MIDNIGHT + DAY_S
    assert store.user_today(ADA) == Tally()
    use(store)
    use(store)
    assert store.user_today(ADA).answers == 2
    assert (await store.kept_days()).of_user(ADA).answers == 3
    await store.aclose()


# ---------------------------------------------------------------------- on disk


@in_virtual_time
async def test_what_was_counted_is_there_after_a_restart(opened, directory, clock):
    store = await opened()
    use(store, cached=40)
    await store.aclose()
    assert on_disk(directory) == {
        "users": {"5": [1, 100, 40, 10]},
        "guilds": {"10": [1, 100, 40, 10]},
        "models": {"m": [1, 100, 40, 10]},
    }
    store = await opened()
    use(store)
    assert store.user_today(ADA) == Tally(2, 200, 40, 20)
    await store.aclose()
    clock.now += DAY_S
    store = await opened()
    assert store.user_today(ADA) == Tally()
    assert (await store.kept_days()).of_user(ADA) == Tally(2, 200, 40, 20)


@in_virtual_time
async def test_many_answers_are_one_write_every_ten_seconds(opened, monkeypatch):
    writes = []
    replace, loop = os.replace, asyncio.get_running_loop()

    def replace_and_note(*paths):
        writes.append(round(loop.time() - began_at))
        replace(*paths)

    monkeypatch.setattr(os, "replace", replace_and_note)
    store = await opened()
    began_at = loop.time()
    for _ in range(50):
        use(store)
        await asyncio.sleep(0.5)
    assert writes == [10, 20]
    await asyncio.sleep(1000)
    assert writes == [10, 20, 30]
    await store.aclose()
    assert len(writes) == 3


@in_virtual_time
async def test_closing_writes_at_once_what_is_not_written_yet(opened, directory):
    store = await opened()
    use(store)
    await store.aclose()
    assert now_s() < 1
    assert on_disk(directory)["users"] == {"5": [1, 100, 0, 10]}


@in_virtual_time
async def test_what_is_counted_while_a_write_is_under_way_is_written_next(
    opened, directory, monkeypatch
):
    store = await opened()
    loop = asyncio.get_running_loop()
    replace = os.replace

    def replace_late(*paths):
        monkeypatch.setattr(os, "replace", replace)
        counted = asyncio.run_coroutine_threadsafe(count_another(), loop)
        counted.result(timeout=30)
        replace(*paths)

    async def count_another():
        use(store)

    use(store)
    monkeypatch.setattr(os, "replace", replace_late)
    await asyncio.sleep(15)
    assert on_disk(directory)["users"] == {"5": [1, 100, 0, 10]}
    await asyncio.sleep(10)
    assert on_disk(directory)["users"] == {"5": [2, 200, 0, 20]}
    await store.aclose()


@in_virtual_time
async def test_a_disk_that_refuses_costs_no_count_and_is_told_once(
    opened, directory, caplog, monkeypatch
):
    store = await opened()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    for _ in range(3):
        use(store)
        await asyncio.sleep(20)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert store.user_today(ADA).answers == 3
    monkeypatch.undo()
    await store.aclose()
    assert on_disk(directory)["users"] == {"5": [3, 300, 0, 30]}


@in_virtual_time
async def test_without_a_directory_it_counts_in_memory(tmp_path, clock, caplog):
    (tmp_path / "file").write_bytes(b"")
    store = UsageStore(tmp_path / "file" / "usage", clock=clock)
    await store.open()
    use(store)
    assert store.user_today(ADA).answers == 1
    assert (await store.kept_days()).of_user(ADA).answers == 1
    await store.aclose()
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@in_virtual_time
async def test_days_older_than_those_kept_are_deleted(opened, directory, clock):
    store = await opened(days_kept=3)
    for _ in range(5):
        use(store)
        await asyncio.sleep(20)
        clock.now += DAY_S
    use(store)
    await asyncio.sleep(20)
    assert sorted(path.name for path in directory.iterdir()) == [
        "2026-01-04.json",
        "2026-01-05.json",
        "2026-01-06.json",
    ]
    assert (await store.kept_days()).of_user(ADA).answers == 3
    assert len(store._days) == 2  # today and yesterday are all that memory holds
    await store.aclose()
    clock.now += 2 * DAY_S
    await opened(days_kept=3)
    assert [path.name for path in directory.iterdir()] == ["2026-01-06.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"users": {"5": [1,',
        b"[]",
        b'{"users": {}}',
        b'{"users": {"5": [1, 2, 3]}, "guilds": {}, "models": {}}',
        b'{"users": {"5": [1, 2, 3, -4]}, "guilds": {}, "models": {}}',
        b'{"users": {"Ada": [1, 2, 3, 4]}, "guilds": {}, "models": {}}',
        b'{"users": {"5": 7}, "guilds": {}, "models": {}}',
        b"\xff",
    ],
)
def test_a_damaged_file_is_passed_over_with_one_warning(opened, directory, clock, caplog, content):
    @in_virtual_time
    async def run():
        directory.mkdir()
        (directory / f"{TODAY}.json").write_bytes(content)
        (directory / "notes.json").write_bytes(b"not ours")
        store = await opened()
        clock.now += DAY_S
        use(store)
        assert (await store.kept_days()).total.answers == 1
        assert (await store.kept_days()).total.answers == 1
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        await store.aclose()
        assert (directory / "notes.json").read_bytes() == b"not ours"

    run()


# ---------------------------------------------------------------------- personal data


@in_virtual_time
async def test_an_export_has_each_day_of_the_person_alone(opened, clock):
    store = await opened()
    use(store, cached=40)
    use(store, BOB)
    await asyncio.sleep(20)
    clock.now += DAY_S
    use(store)
    day = {"answers": 1, "prompt_tokens": 100, "cached_tokens": 40, "completion_tokens": 10}
    assert await store.export_user(ADA) == {TODAY: day, "2026-01-02": {**day, "cached_tokens": 0}}
    assert await store.export_user(7) == {}
    assert "31 days" in store.holds
    await store.aclose()


@in_virtual_time
async def test_a_deleted_person_is_in_no_file_and_the_totals_stay(opened, directory, clock):
    person = 123456789012345678
    store = await opened()
    for _ in range(2):
        use(store, person)
        use(store, BOB)
        await asyncio.sleep(20)
        clock.now += DAY_S
    use(store, person)
    assert await store.delete_user(person) == 3
    assert store.user_today(person) == Tally()
    assert store.guild_today(GUILD).answers == 1
    await store.aclose()
    for path in directory.iterdir():
        assert str(person).encode() not in path.read_bytes()
    kept = await (await opened()).kept_days()
    assert kept.of_user(BOB).answers == 2
    assert kept.guilds[GUILD].answers == kept.total.answers == 5
    assert await store.delete_user(person) == 0


@in_virtual_time
async def test_a_write_under_way_does_not_bring_a_deleted_person_back(
    opened, directory, monkeypatch
):
    store = await opened()
    loop = asyncio.get_running_loop()
    replace, deletions = os.replace, []

    def replace_late(*paths):
        monkeypatch.setattr(os, "replace", replace)
        asyncio.run_coroutine_threadsafe(begin_deletion(), loop).result(timeout=30)
        replace(*paths)

    async def begin_deletion():
        deletions.append(asyncio.create_task(store.delete_user(ADA)))

    use(store)
    use(store, BOB)
    monkeypatch.setattr(os, "replace", replace_late)
    await asyncio.sleep(15)
    await deletions[0]
    await store.aclose()
    assert on_disk(directory)["users"] == {"6": [1, 100, 0, 10]}


@in_virtual_time
async def test_deleting_takes_damaged_and_half_written_files_along(opened, directory):
    directory.mkdir()
    (directory / "2025-12-31.json.new").write_bytes(b'{"users": {"5"')
    (directory / "2025-12-31.json").write_bytes(b'{"users": {"5": [1, 1')
    store = await opened()
    await store.delete_user(ADA)
    assert list(directory.iterdir()) == []


@in_virtual_time
async def test_a_deletion_that_the_disk_refuses_says_so(opened, monkeypatch):
    store = await opened()
    use(store)
    await asyncio.sleep(20)

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="Read-only"):
        await store.delete_user(ADA)
    await store.aclose()


# ---------------------------------------------------------------------- quotas


@pytest.fixture
def quotas(directory, clock):
    """Quotas on a store in memory; its monotonic clock runs with the other one."""

    def quotas(*, per_minute=0, user_tokens=0, guild_tokens=0, exempt=()):
        usage = UsageStore(directory, clock=clock)
        return usage, Quotas(
            usage=usage,
            requests_per_minute=per_minute,
            user_daily_tokens=user_tokens,
            guild_daily_tokens=guild_tokens,
            exempt_user_ids=frozenset(exempt),
            clock=clock,
            monotonic=lambda: clock.now - MIDNIGHT,
        )

    return quotas


def refusal(quotas, turn_id=0, *, user_id=ADA, guild_id=GUILD):
    with pytest.raises(QuotaError) as caught:
        quotas.admit(user_id=user_id, guild_id=guild_id, turn_id=turn_id)
    return caught.value


def admit(quotas, turn_id=0, *, user_id=ADA, guild_id=GUILD):
    quotas.admit(user_id=user_id, guild_id=guild_id, turn_id=turn_id)


def used_up(usage, user_id, tokens):
    use(usage, user_id, prompt=tokens, completion=0)


def test_no_limits_admit_everything(quotas):
    _, free = quotas()
    for turn_id in range(5000):
        admit(free, turn_id)
    allowance = free.allowance(user_id=ADA, guild_id=GUILD)
    assert (allowance.answers, allowance.user_tokens, allowance.guild_tokens) == (None,) * 3


def test_the_minute_slides_and_the_refusal_says_when_it_opens(quotas, clock):
    _, limited = quotas(per_minute=3)
    began = clock.now
    for turn_id in range(3):
        admit(limited, turn_id)
        clock.now += 10
    error = refusal(limited, 3)
    assert error.opens_at == MIDNIGHT + 161  # 60 s after the first, rounded up
    assert error.sentence == (
        f"You have asked me 3 times within a minute; I am all yours again <t:{MIDNIGHT + 161}:R>."
    )
    admit(limited, 3, user_id=BOB)
    clock.now = began + 59.5
    refusal(limited, 3)
    clock.now = began + 60
    admit(limited, 3)
    refusal(limited, 4)
    clock.now = began + 70
    admit(limited, 4)


def test_a_single_answer_a_minute_is_told_as_once(quotas):
    _, limited = quotas(per_minute=1)
    admit(limited, 1)
    assert refusal(limited, 2).sentence.startswith("You have asked me once within a minute;")


def test_asking_again_for_the_same_turn_counts_once(quotas):
    _, limited = quotas(per_minute=2)
    for _ in range(5):
        admit(limited, 1)
    assert limited.allowance(user_id=ADA, guild_id=None).answers == 1
    admit(limited, 2)
    admit(limited, 1)
    refusal(limited, 3)


def test_only_the_first_refusal_since_it_closed_is_to_be_told(quotas, clock):
    _, limited = quotas(per_minute=1)
    admit(limited, 1)
    assert refusal(limited, 2).is_first
    assert not refusal(limited, 3).is_first
    clock.now += 61
    admit(limited, 4)
    assert refusal(limited, 5).is_first


@in_virtual_time
async def test_a_person_is_refused_for_the_rest_of_the_day_once_their_tokens_are_used(
    quotas, clock
):
    usage, limited = quotas(user_tokens=1000)
    used_up(usage, ADA, 999)
    admit(limited, 1)
    used_up(usage, ADA, 500)
    error = refusal(limited, 2, guild_id=None)
    assert error.opens_at == MIDNIGHT + DAY_S
    assert error.is_first
    assert f"<t:{MIDNIGHT + DAY_S}:R>" in error.sentence
    assert not refusal(limited, 3).is_first
    assert limited.allowance(user_id=ADA, guild_id=GUILD).user_tokens == 0
    admit(limited, 4, user_id=BOB)
    clock.now = MIDNIGHT + DAY_S
    admit(limited, 5)


@in_virtual_time
async def test_a_server_is_refused_apart_from_other_servers_and_direct_messages(quotas):
    usage, limited = quotas(guild_tokens=1000)
    used_up(usage, ADA, 1000)
    error = refusal(limited, 1, user_id=BOB)
    assert error.sentence.startswith("This server has used up")
    assert error.is_first
    assert refusal(limited, 2, user_id=ADA).is_first
    admit(limited, 3, guild_id=11)
    admit(limited, 4, guild_id=None)
    assert not refusal(limited, 5, user_id=BOB).is_first


@in_virtual_time
async def test_another_limit_is_told_though_the_first_one_was(quotas, clock):
    usage, limited = quotas(per_minute=1, user_tokens=1000)
    admit(limited, 1)
    assert refusal(limited, 2).is_first
    used_up(usage, ADA, 1000)
    assert refusal(limited, 3).is_first


@in_virtual_time
async def test_a_refused_turn_does_not_count_against_the_minute(quotas, clock):
    usage, limited = quotas(per_minute=2, user_tokens=1000)
    used_up(usage, ADA, 1000)
    for turn_id in range(5):
        refusal(limited, turn_id)
    assert limited.allowance(user_id=ADA, guild_id=GUILD).answers == 2


@in_virtual_time
async def test_exempt_people_have_no_limits_and_may_be_named_later(quotas):
    usage, limited = quotas(per_minute=1, user_tokens=10, guild_tokens=10, exempt=(ADA,))
    used_up(usage, ADA, 1000)
    for turn_id in range(5):
        admit(limited, turn_id)
    refusal(limited, 6, user_id=BOB)
    limited.exempt_user_ids = frozenset({BOB})
    admit(limited, 7, user_id=BOB)
    refusal(limited, 8)


def test_people_who_were_idle_for_a_minute_take_no_memory(quotas, clock):
    _, limited = quotas(per_minute=10)
    for user_id in range(1, 1001):
        admit(limited, user_id, user_id=user_id)
        clock.now += 1
    assert len(limited._minutes) <= 61
