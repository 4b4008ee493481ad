"""Personas on a real disk: which files count, who is chosen where, what a restart finds."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from services import personas as module
from services.personas import Persona, PersonaNotSavedError, Personas, UnknownPersonaError

DEFAULT = Persona("default", "You are the bot.")
CHANNEL, THREAD = 20, 21
SHIPPED = Path(__file__).parents[2] / "data" / "personas"


@pytest.fixture
def directory(tmp_path):
    directory = tmp_path / "personas"
    directory.mkdir()
    (directory / "tutor.md").write_text("You teach.", encoding="utf-8")
    return directory


@pytest.fixture
def choices_file(tmp_path):
    return tmp_path / "state" / "personas.json"


@pytest.fixture
async def opened(directory, choices_file):
    """Opens personas on the same files; each time as a process of its own."""

    async def opened() -> Personas:
        personas = Personas(directory=directory, choices_file=choices_file, default=DEFAULT)
        await personas.open()
        return personas

    return opened


# ---------------------------------------------------------------------- files


async def test_header_and_text_make_a_persona(directory, opened):
    (directory / "gm.md").write_text(
        "---\nname: Game Master\nvoice: bm_george\ntemperature: 1.2\n\n"
        'greeting: "It says: what do you do?"\n---\n\nYou lead.\n---\nYou judge.\n',
        encoding="utf-8-sig",
    )
    assert (await opened()).get("game master") == Persona(
        "Game Master", "You lead.\n---\nYou judge.", "bm_george", 1.2, "It says: what do you do?"
    )


async def test_a_file_without_a_header_has_the_name_of_its_file(opened):
    assert (await opened()).get(" TUTOR ") == Persona("tutor", "You teach.")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"---\nvoise: a\n---\nText", "'voise'"),
        (b"---\njust words\n---\nText", "'just words'"),
        (b"---\nname: a\nname: b\n---\nText", "name twice"),
        (b"---\nname: a\nText", "no second line of ---"),
        (b"---\nname: a/b\n---\nText", "its name"),
        (b"---\ntemperature: warm\n---\nText", "a number from 0 to 2"),
        (b"---\ntemperature: 2.1\n---\nText", "a number from 0 to 2"),
        (b"---\ntemperature: nan\n---\nText", "a number from 0 to 2"),
        (b"---\nname: a\n---\n \n", "no text"),
        (b"", "no text"),
        (b"x" * (16 * 1024 + 1), "larger than 16 KiB"),
        (b"\xff\xfe", "not UTF-8"),
        (b"---\nname: Tutor\n---\nAnother", "is taken"),
        (b"---\nname: DEFAULT\n---\nAnother", "is taken"),
    ],
)
async def test_a_bad_file_is_passed_over_with_one_warning_that_says_why(
    directory, opened, caplog, content, reason
):
    (directory / "zz.md").write_bytes(content)
    assert (await opened()).names() == ["default", "tutor"]
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert vars(warning)["file"] == "zz.md"
    assert reason in vars(warning)["reason"]


async def test_a_directory_that_looks_like_a_persona_harms_nobody(directory, opened, caplog):
    (directory / "folder.md").mkdir()
    assert (await opened()).names() == ["default", "tutor"]
    assert vars(caplog.records[0])["file"] == "folder.md"


async def test_without_a_directory_there_is_the_default_alone(tmp_path, caplog):
    personas = Personas(
        directory=tmp_path / "none", choices_file=tmp_path / "choices.json", default=DEFAULT
    )
    await personas.open()
    assert personas.names() == ["default"]
    assert personas.of([CHANNEL]) is DEFAULT
    assert caplog.records == []


async def test_files_added_edited_and_removed_are_taken_in_without_a_restart(directory, opened):
    personas = await opened()
    await personas.use(CHANNEL, "tutor")
    (directory / "poet.md").write_text("You rhyme.", encoding="utf-8")
    (directory / "tutor.md").write_text("You teach well.", encoding="utf-8")
    await personas.reload()
    assert personas.names() == ["default", "poet", "tutor"]
    assert personas.of([CHANNEL]).text == "You teach well."
    (directory / "tutor.md").unlink()
    await personas.reload()
    assert personas.names() == ["default", "poet"]
    assert personas.of([CHANNEL]) is DEFAULT


async def test_unchanged_files_are_not_read_again(directory, opened, monkeypatch):
    personas = await opened()
    monkeypatch.setattr(module, "_read_personas", None)  # reading them would fail
    await personas.reload()
    (directory / "poet.md").write_text("You rhyme.", encoding="utf-8")
    with pytest.raises(TypeError):
        await personas.reload()


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.md")), ids=lambda path: path.stem)
def test_shipped_personas_are_complete_and_short(path):
    persona = module._read_persona(path)
    assert persona.voice
    assert persona.greeting
    assert persona.temperature is not None
    assert len(persona.text) <= 520  # some 120 tokens


def test_personas_are_shipped():
    assert len(list(SHIPPED.glob("*.md"))) >= 2


# ---------------------------------------------------------------------- choices


async def test_a_thread_has_its_own_choice_else_its_channels(opened):
    personas = await opened()
    await personas.use(CHANNEL, "Tutor")
    assert personas.of([THREAD, CHANNEL]).name == "tutor"
    assert personas.of([THREAD]) is DEFAULT
    await personas.use(CHANNEL, "default")
    await personas.use(THREAD, "tutor")
    assert personas.of([THREAD, CHANNEL]).name == "tutor"
    assert personas.of([CHANNEL]) is DEFAULT


async def test_a_choice_outlives_the_process_and_default_takes_it_back(opened, choices_file):
    assert (await (await opened()).use(CHANNEL, "tutor")).text == "You teach."
    assert json.loads(choices_file.read_bytes()) == {str(CHANNEL): "tutor"}
    again = await opened()
    assert again.of([CHANNEL]).name == "tutor"
    assert await again.use(CHANNEL, "Default") is DEFAULT
    assert (await opened()).of([CHANNEL]) is DEFAULT
    assert json.loads(choices_file.read_bytes()) == {}


async def test_an_unknown_name_changes_nothing_and_lists_those_that_are(opened):
    personas = await opened()
    await personas.use(CHANNEL, "tutor")
    with pytest.raises(UnknownPersonaError) as caught:
        await personas.use(CHANNEL, "nobody")
    assert caught.value.sentence == "I do not know that one. I can be: default, tutor."
    assert personas.of([CHANNEL]).name == "tutor"


def test_a_long_list_of_names_still_fits_a_message():
    sentence = UnknownPersonaError(f"persona {i}" for i in range(1000)).sentence
    assert len(sentence) < 2000
    assert sentence.endswith(" and more.")


async def test_a_damaged_choice_file_is_set_aside_with_one_warning(opened, choices_file, caplog):
    choices_file.parent.mkdir()
    for content in (b'{"20": "tu', b"[1]", b'{"x": "tutor"}', b"\xff"):
        caplog.clear()
        choices_file.write_bytes(content)
        personas = await opened()
        assert personas.of([CHANNEL]) is DEFAULT
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert choices_file.with_name("personas.json.damaged").read_bytes() == content
    await personas.use(CHANNEL, "tutor")
    assert (await opened()).of([CHANNEL]).name == "tutor"


async def test_a_disk_that_refuses_is_told_and_the_choice_holds_in_memory(opened, monkeypatch):
    personas = await opened()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PersonaNotSavedError) as caught:
        await personas.use(CHANNEL, "tutor")
    assert "a restart will undo it" in caught.value.sentence
    assert personas.of([CHANNEL]).name == "tutor"
    monkeypatch.undo()
    await personas.use(THREAD, "tutor")
    assert (await opened()).of([CHANNEL]).name == "tutor"
