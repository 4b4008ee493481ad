"""What a server chose for the voice holds, over a restart too, and nothing on the disk harms it."""

import asyncio
import json
import logging
from dataclasses import replace

import pytest

from services.voice.choices import VoiceChoices, VoiceNotSavedError
from services.voice.session import VoiceChoice

CHOICE = VoiceChoice(
    provider="espeak", voice="en-gb", speed=1.25, language="en-GB", speaks_answers=False
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "voices.json"


async def opened(path):
    choices = VoiceChoices(path)
    await choices.open()
    return choices


async def test_a_server_that_chose_nothing_has_the_usual_voice(path):
    assert (await opened(path)).of(1) == VoiceChoice()
    assert not path.parent.exists()


async def test_what_was_chosen_is_there_after_a_restart(path):
    choices = await opened(path)
    await choices.choose(1, CHOICE)
    await choices.choose(2, VoiceChoice(speed=2))
    await choices.choose(3, VoiceChoice())
    again = await opened(path)
    for one in (choices, again):
        assert [one.of(guild_id) for guild_id in (1, 2, 3)] == [
            CHOICE,
            VoiceChoice(speed=2),
            VoiceChoice(),
        ]


async def test_the_last_choice_counts(path):
    choices = await opened(path)
    await choices.choose(1, CHOICE)
    await choices.choose(1, replace(CHOICE, speed=None, voice=""))
    assert (await opened(path)).of(1) == replace(CHOICE, speed=None, voice="")


async def test_choices_made_at_once_are_all_kept(path):
    choices = await opened(path)
    made = {guild_id: VoiceChoice(speed=1 + guild_id / 100) for guild_id in range(30)}
    await asyncio.gather(*(choices.choose(guild_id, made[guild_id]) for guild_id in made))
    again = await opened(path)
    assert {guild_id: again.of(guild_id) for guild_id in made} == made
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"1": {"voice": "en-',
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"one": {}}',
        b'{"1": 5}',
        b'{"1": {"speed": "fast"}}',
        b'{"1": {"voice": null}}',
        b'{"1": {"speaks_answers": "no"}}',
    ],
)
async def test_a_damaged_file_is_set_aside_and_told_once(path, content, caplog):
    path.parent.mkdir()
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        choices = await opened(path)
    assert choices.of(1) == VoiceChoice()
    assert len(caplog.records) == 1
    assert [file.read_bytes() for file in path.parent.iterdir()] == [content]
    await choices.choose(1, CHOICE)
    assert (await opened(path)).of(1) == CHOICE
    assert content in [file.read_bytes() for file in path.parent.iterdir()]


async def test_what_a_later_version_wrote_is_no_damage(path, caplog):
    path.parent.mkdir()
    path.write_text(json.dumps({"1": {"voice": "en-gb", "pitch": 3}}))
    with caplog.at_level(logging.WARNING):
        choices = await opened(path)
    assert choices.of(1) == VoiceChoice(voice="en-gb")
    assert not caplog.records


async def test_a_choice_is_in_force_though_the_disk_refuses(path):
    path.parent.write_text("no folder")
    choices = VoiceChoices(path)
    with pytest.raises(VoiceNotSavedError):
        await choices.choose(1, CHOICE)
    assert choices.of(1) == CHOICE


async def test_a_file_that_cannot_be_read_does_not_keep_the_bot_from_starting(path, caplog):
    path.mkdir(parents=True)
    with caplog.at_level(logging.WARNING):
        choices = await opened(path)
    assert choices.of(1) == VoiceChoice()
    assert len(caplog.records) == 1
