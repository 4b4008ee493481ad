"""What was spoken once: found again, bounded, and safe against a crash and a bad disk."""

import asyncio
import logging
import os
from dataclasses import fields, replace
from typing import Any

import pytest

from services.atomic_write import replace_file
from services.tts.phrase_cache import Phrase, PhraseCache

HELLO = Phrase("Hello!", "espeak", "1.52.0", "", 1.0, "en")
PACKETS = [bytes([n]) * (100 + n) for n in range(20)]
ABOUT_BYTES = sum(map(len, PACKETS)) + 2 * len(PACKETS)


def phrase(n):
    return replace(HELLO, text=f"phrase {n}")


@pytest.fixture
async def start(tmp_path):
    opened = []

    async def start(*, max_bytes=1_000_000, **options):
        cache = PhraseCache(tmp_path / "phrases", max_bytes=max_bytes, **options)
        await cache.open()
        opened.append(cache)
        return cache

    yield start
    for cache in opened:
        await cache.aclose()


def files(tmp_path):
    return sorted((tmp_path / "phrases").iterdir())


async def spoken_twice(cache, *phrases):
    for one in phrases:
        cache.put(one, PACKETS)
        assert await cache.get(one) == PACKETS
        await cache.aclose()  # waits for what it writes


async def test_a_phrase_is_found_again_packet_by_packet(start):
    cache = await start()
    assert await cache.get(HELLO) is None
    cache.put(HELLO, PACKETS)
    assert await cache.get(HELLO) == PACKETS
    assert (cache.hits, cache.misses) == (1, 1)


@pytest.mark.parametrize("field", [field.name for field in fields(Phrase)])
async def test_whatever_changes_the_sound_makes_another_phrase(start, field):
    cache = await start()
    cache.put(HELLO, PACKETS)
    change: dict[str, Any] = {field: 1.5 if field == "speed" else "other"}
    assert await cache.get(replace(HELLO, **change)) is None


async def test_parts_of_a_key_do_not_run_into_each_other(start):
    cache = await start()
    cache.put(replace(HELLO, provider="ab", version="c"), PACKETS)
    assert await cache.get(replace(HELLO, provider="a", version="bc")) is None


async def test_what_was_asked_for_once_does_not_reach_the_disk(start, tmp_path):
    cache = await start()
    cache.put(HELLO, PACKETS)
    await cache.aclose()
    assert files(tmp_path) == []


async def test_what_was_asked_for_twice_survives_the_process(start, tmp_path):
    cache = await start()
    await spoken_twice(cache, HELLO)
    await cache.aclose()
    again = await start()
    assert await again.get(HELLO) == PACKETS


async def test_a_file_tells_nothing_of_the_text(start, tmp_path):
    cache = await start()
    await spoken_twice(cache, HELLO)
    (file,) = files(tmp_path)
    assert file.name == f"{HELLO.key}.opus"
    assert b"Hello" not in file.read_bytes()


async def test_a_phrase_is_written_once(start, tmp_path, monkeypatch):
    written = []

    def write(path, content):
        written.append(path)
        replace_file(path, content)

    monkeypatch.setattr("services.tts.phrase_cache.replace_file", write)
    cache = await start()
    cache.put(HELLO, PACKETS)
    await asyncio.gather(*(cache.get(HELLO) for _ in range(10)))
    await cache.aclose()
    await cache.get(HELLO)
    assert len(written) == 1


async def test_the_least_recently_used_leaves_the_memory_first(start):
    cache = await start(max_bytes=3 * (ABOUT_BYTES + 250))
    for n in range(3):
        cache.put(phrase(n), PACKETS)
    await cache.get(phrase(0))
    cache.put(phrase(3), PACKETS)
    found = [await cache.get(phrase(n)) is not None for n in range(4)]
    assert found == [True, False, True, True]


async def test_the_disk_keeps_within_its_bytes_and_drops_the_least_recently_used(start, tmp_path):
    max_bytes = 3 * (ABOUT_BYTES + 250)
    cache = await start(max_bytes=max_bytes)
    await spoken_twice(cache, *map(phrase, range(6)))
    assert sum(file.stat().st_size for file in files(tmp_path)) <= max_bytes
    again = await start(max_bytes=max_bytes)
    found = [await again.get(phrase(n)) is not None for n in range(6)]
    assert found == [False, False, False, True, True, True]


async def test_a_smaller_bound_after_a_restart_is_kept_at_once(start, tmp_path):
    cache = await start()
    await spoken_twice(cache, *map(phrase, range(6)))
    for n in range(6):
        os.utime(tmp_path / "phrases" / f"{phrase(n).key}.opus", (n, n))
    again = await start(max_bytes=2 * (ABOUT_BYTES + 250))
    assert {file.stem for file in files(tmp_path)} == {phrase(4).key, phrase(5).key}
    assert await again.get(phrase(5)) == PACKETS


async def test_what_was_used_lately_stays_on_disk_over_restarts(start, tmp_path):
    cache = await start()
    await spoken_twice(cache, *map(phrase, range(4)))
    for n in range(4):
        os.utime(tmp_path / "phrases" / f"{phrase(n).key}.opus", (n, n))
    assert await (await start()).get(phrase(0)) == PACKETS
    bounded = await start(max_bytes=3 * (ABOUT_BYTES + 250))
    assert await bounded.get(phrase(1)) is None
    assert await bounded.get(phrase(2)) == PACKETS
    await spoken_twice(bounded, phrase(4))
    assert {file.stem for file in files(tmp_path)} == {phrase(n).key for n in (0, 2, 4)}


async def test_a_phrase_larger_than_the_cache_is_not_kept(start):
    cache = await start(max_bytes=ABOUT_BYTES // 2)
    cache.put(HELLO, PACKETS)
    assert await cache.get(HELLO) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[:100],
        lambda content: content + b"\0",
        lambda content: content[:50] + b"\xff" + content[51:],
        lambda content: b"not what it was",
    ],
    ids=["empty", "short", "torn", "long", "flipped", "foreign"],
)
async def test_a_damaged_file_is_dropped_with_one_record_and_redone(
    start, tmp_path, caplog, damage
):
    cache = await start()
    await spoken_twice(cache, HELLO)
    (file,) = files(tmp_path)
    file.write_bytes(damage(file.read_bytes()))
    again = await start()
    with caplog.at_level(logging.WARNING):
        assert await again.get(HELLO) is None
        assert await again.get(HELLO) is None
    assert len(caplog.records) == 1
    assert files(tmp_path) == []
    await spoken_twice(again, HELLO)
    assert await (await start()).get(HELLO) == PACKETS


async def test_a_file_that_somebody_deleted_is_redone(start, tmp_path):
    await spoken_twice(await start(), HELLO)
    again = await start()
    (file,) = files(tmp_path)
    file.unlink()
    assert await again.get(HELLO) is None


async def test_half_a_write_of_a_killed_process_is_removed(start, tmp_path):
    (tmp_path / "phrases").mkdir()
    (tmp_path / "phrases" / "abc.opus.new").write_bytes(b"half")
    await start()
    assert files(tmp_path) == []


async def test_a_disk_that_refuses_is_told_once_and_the_memory_serves(start, monkeypatch, caplog):
    def refuse(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("services.tts.phrase_cache.replace_file", refuse)
    cache = await start()
    with caplog.at_level(logging.WARNING):
        await spoken_twice(cache, *map(phrase, range(3)))
    assert len(caplog.records) == 1
    assert await cache.get(phrase(0)) == PACKETS


async def test_a_directory_that_cannot_be_used_leaves_the_memory(tmp_path, caplog):
    (tmp_path / "phrases").write_bytes(b"a file")
    cache = PhraseCache(tmp_path / "phrases", max_bytes=100_000)
    with caplog.at_level(logging.WARNING):
        await cache.open()
        cache.put(HELLO, PACKETS)
        assert await cache.get(HELLO) == PACKETS
        await cache.aclose()
    assert len(caplog.records) == 1


async def test_disabled_keeps_and_finds_nothing(start, tmp_path):
    cache = await start(enabled=False)
    cache.put(HELLO, PACKETS)
    assert await cache.get(HELLO) is None
    assert not (tmp_path / "phrases").exists()
