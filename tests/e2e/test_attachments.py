"""Files that come with a question: read where they can be, named where they cannot."""

from __future__ import annotations

import base64

import pytest

from cogs.chat.intake import MAX_ATTACHMENTS, MAX_TEXT_BYTES, MAX_TEXT_CHARS
from playground.model import HttpError, Script

pytestmark = pytest.mark.asyncio(loop_scope="module")

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def question(stage):
    return stage.prompts[-1][-1]["content"]


async def test_a_text_file_is_read_into_the_prompt(stage):
    room = await stage.room()
    await stage.ask("explain", place=room, files=[("tool.py", b"print('caf\xc3\xa9')\n")])
    assert question(stage) == ("Alice: explain\n[Attached file tool.py]\n```\nprint('café')\n```")


async def test_a_file_alone_is_a_question_too(stage):
    room = await stage.room()
    await stage.ask("", place=room, files=[("notes.md", b"# Plan")])
    assert "# Plan" in question(stage)


async def test_an_image_goes_to_the_model_as_a_data_url(stage):
    room = await stage.room()
    answer = await stage.ask("what is this?", place=room, files=[("dot.png", PNG)])
    text, image = question(stage)
    assert text == {"type": "text", "text": "Alice: what is this?\n[Attached image dot.png]"}
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    assert image == {"type": "image_url", "image_url": {"url": url}}
    assert answer["content"] == "Hello there, nice to meet you."


async def test_a_file_that_cannot_be_read_is_named_in_the_answer(stage):
    room = await stage.room()
    files = [
        ("archive.zip", b"PK\x03\x04"),
        ("fake.txt", b"\x00\x01\x02"),
        ("huge.txt", b"x" * (MAX_TEXT_BYTES + 1)),
        ("fine.txt", b"fine"),
    ]
    answer = await stage.ask("look", place=room, files=files)
    assert answer["content"].split("\n") == [
        "Hello there, nice to meet you.",
        "",
        "-# I could not read archive.zip: it is neither text nor an image.",
        "-# I could not read fake.txt: it is not text, whatever its name says.",
        "-# I could not read huge.txt: it is larger than 256 KiB.",
    ]
    assert "fine" in question(stage)


async def test_of_many_files_the_first_are_read_and_the_rest_is_named(stage):
    room = await stage.room()
    files = [(f"{i}.txt", f"content {i}".encode()) for i in range(MAX_ATTACHMENTS + 2)]
    answer = await stage.ask("look", place=room, files=files)
    assert f"content {MAX_ATTACHMENTS - 1}" in question(stage)
    assert f"content {MAX_ATTACHMENTS}" not in question(stage)
    assert answer["content"].count("only 6 files are read at a time") == 2


async def test_long_text_is_cut_and_the_model_is_told(stage):
    room = await stage.room()
    long = "word " * MAX_TEXT_CHARS
    files = [("long.txt", long.encode()), ("more.txt", b"unread")]
    await stage.ask("look", place=room, files=files)
    assert len(question(stage)) < MAX_TEXT_CHARS + 500
    assert "more characters of this file left out]" in question(stage)
    assert "unread" not in question(stage)


async def test_a_file_that_cannot_be_fetched_is_named_in_the_answer(stage):
    room = await stage.room()
    await stage.ask("warm up", place=room)
    store = stage.playground.world.attachments
    base_url, store.base_url = store.base_url, "http://127.0.0.1:9"  # nobody listens there
    try:
        answer = await stage.ask("look", place=room, files=[("gone.txt", b"gone")])
    finally:
        store.base_url = base_url
    assert answer["content"].endswith("-# I could not read gone.txt: it could not be fetched.")


async def test_the_files_of_a_message_that_is_replied_to_are_read_too(stage):
    files = [("run.log", b"error 7"), ("dot.png", PNG)]
    original = await stage.bob.send("general", "my log", files=files)
    mention = stage.playground.bot_mention
    await stage.ask(f"{mention} what is this?", place="general", reply_to=original)
    text, image = question(stage)
    assert text["text"].startswith("[In reply to Bob: my log\n[Attached file run.log]\n")
    assert "error 7" in text["text"]
    assert image["type"] == "image_url"


# Last, because the bot remembers it of the model.
async def test_a_model_that_takes_no_images_answers_without_them_and_says_so(stage):
    def script(call):
        if "image_url" in str(call.messages[-1]["content"]):
            return Script(fault=HttpError(400, "image input is not supported"))
        return Script.of("A fine day.")

    stage.begin(script)
    room = await stage.room()
    answer = await stage.ask("what is this?", place=room, files=[("dot.png", PNG)])
    assert answer["content"] == (
        "A fine day.\n\n-# I could not look at the picture: the model in use does not take images."
    )
    assert question(stage) == "Alice: what is this?\n[Attached image dot.png]"
