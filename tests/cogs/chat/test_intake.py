"""Messages as discord.py makes them from payloads; files from a server on the loopback."""

from __future__ import annotations

import asyncio

import aiohttp
import discord
import pytest
from aiohttp import web

from cogs.chat import intake
from tests.fakes.discord_objects import (
    BOT_ID,
    BOT_ROLE_ID,
    CHANNEL_ID,
    a_guild,
    a_message,
    a_reply,
    a_user,
    an_attachment,
)

BOB = a_user(6, "bob", global_name="Bob")
PARROT = a_user(BOT_ID, "Parrot")


@pytest.fixture
def guild():
    return a_guild()


def me(guild: discord.Guild) -> discord.ClientUser:
    user = guild._state.user
    assert user is not None
    return user


# ---------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<@1> hello", "hello"),
        ("<@!1>, hello", "hello"),
        ("hello <@1>", "hello"),
        ("<@1>\nhello", "hello"),
        ("<@&50> hello", "hello"),
        ("<@1>", ""),
        ("tell <@1> something", "tell @Parrot something"),
        ("<@1> ask <@6>", "ask @Bob"),
        (f"see <#{CHANNEL_ID}> and <@&51>", "see #lounge and @friends"),
        ("<@999> and <#998>", "<@999> and <#998>"),
        ("a < b and <b>", "a < b and <b>"),
    ],
)
def test_mentions_read_as_names_and_the_one_that_addressed_the_bot_goes(guild, content, text):
    message = a_message(guild, content, mentions=[PARROT, BOB], mention_roles=["50", "51"])
    assert intake.readable_text(message, me(guild)) == text


def test_the_bot_is_mentioned_by_its_name_or_its_own_role(guild):
    bot = me(guild)
    assert intake.mentions_bot(a_message(guild, "<@1>", mentions=[PARROT]), bot)
    assert intake.mentions_bot(a_message(guild, "x", mention_roles=[str(BOT_ROLE_ID)]), bot)
    assert not intake.mentions_bot(a_message(guild, "x", mention_roles=["51"]), bot)
    assert not intake.mentions_bot(a_message(guild, "x", mentions=[BOB]), bot)


def test_a_sticker_is_named(guild):
    stickers = [{"id": "1", "name": "wave", "format_type": 1}]
    message = a_message(guild, "", sticker_items=stickers)
    assert intake.readable_text(message, me(guild)) == "[Sticker: wave]"


def test_a_reply_quotes_what_it_replies_to(guild):
    message = a_reply(guild, "why?", {"content": "because <@1>", "author": BOB})
    quote = intake.quote_of(message, me(guild))
    assert quote is not None
    assert (quote.message_id, quote.author_name, quote.text) == (800, "Bob", "because")


def test_a_reply_to_the_bot_quotes_you(guild):
    attachment = {"id": "1", "filename": "a.txt", "size": 1, "url": "x", "proxy_url": "x"}
    original = {"content": "An answer.", "author": PARROT, "attachments": [attachment]}
    quote = intake.quote_of(a_reply(guild, "why?", original), me(guild))
    assert quote is not None
    assert quote.author_name == "you"
    assert quote.text == "An answer.\n[Attached file a.txt]"


def test_a_reply_to_a_deleted_message_quotes_nothing(guild):
    reference = {"message_id": "800", "channel_id": str(CHANNEL_ID), "type": 0}
    message = a_message(
        guild, "why?", type=19, message_reference=reference, referenced_message=None
    )
    assert intake.replied_to(message) is None
    assert intake.quote_of(message, me(guild)) is None


async def test_a_message_is_heard_with_who_what_and_when(guild):
    async with aiohttp.ClientSession() as session:
        message = a_message(guild, "<@1> hello", mentions=[PARROT])
        heard = await intake.incoming(message, me(guild), session=session)
        assert (heard.id, heard.author_id, heard.author_name) == (900, 5, "Ada")
        assert (heard.text, heard.sent_at) == ("hello", message.created_at.timestamp())
        alone = await intake.incoming(a_message(guild, "<@1>"), me(guild), session=session)
        assert "without saying anything" in alone.text
        original = {"content": "look", "author": BOB}
        pointed = await intake.incoming(
            a_reply(guild, "<@1>", original), me(guild), session=session
        )
        assert pointed.text == "(what about this?)"


# ---------------------------------------------------------------------- files

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
FILES = {
    "plain.txt": "héllo\r\nworld\n".encode(),
    "bom.txt": "\ufeffbom".encode(),
    "wide.txt": "wide ☂".encode("utf-16"),
    "latin.txt": "caf\xe9".encode("cp1252"),
    "binary.txt": b"MZ\x00\x01\x02" * 10,
    "empty.txt": b"",
    "cat.png": PNG,
    "growing.txt": b"x" * (intake.MAX_TEXT_BYTES + 1),
    "long.txt": b"y" * (intake.MAX_TEXT_CHARS - 10),
}


@pytest.fixture
async def cdn():
    """A file server; what it was asked for is in `asked`."""
    asked: list[str] = []
    hung_up = asyncio.Event()

    async def get(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        asked.append(name)
        if name == "hanging.txt":
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"begin")
            await hung_up.wait()
            return response
        if name == "elsewhere.txt":
            raise web.HTTPFound("/plain.txt")
        if name not in FILES:
            raise web.HTTPNotFound
        return web.Response(body=FILES[name])

    app = web.Application()
    app.router.add_get("/{name}", get)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield url, asked
    hung_up.set()
    await runner.cleanup()


@pytest.fixture
async def read(guild, cdn):
    url, _ = cdn
    async with aiohttp.ClientSession() as session:

        async def read(*files, **fields):
            attachments = [an_attachment(guild, name, f"{url}/{name}", **fields) for name in files]
            return await intake.read_attachments(attachments, session=session)

        yield read


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain.txt", "héllo\nworld"),
        ("bom.txt", "bom"),
        ("wide.txt", "wide ☂"),
        ("latin.txt", "café"),
        ("empty.txt", ""),
    ],
)
async def test_text_is_read_in_its_encoding(read, name, text):
    (attachment,) = await read(name)
    assert (attachment.text, attachment.problem) == (text, None)


async def test_an_image_becomes_a_data_url(read):
    (attachment,) = await read("cat.png", content_type="image/png")
    assert attachment.image_url is not None
    assert attachment.image_url.startswith("data:image/png;base64,iVBORw0KGgo")


@pytest.mark.parametrize(
    ("name", "fields", "problem"),
    [
        ("binary.txt", {}, "it is not text, whatever its name says"),
        ("missing.txt", {}, "it could not be fetched"),
        ("elsewhere.txt", {}, "it could not be fetched"),
        ("growing.txt", {}, "it could not be fetched"),  # larger than it was said to be
    ],
)
async def test_what_cannot_be_read_says_why(read, name, fields, problem):
    (attachment,) = await read(name, **fields)
    assert (attachment.problem, attachment.text) == (problem, None)


@pytest.mark.parametrize(
    ("name", "fields", "problem"),
    [
        ("a.zip", {}, "it is neither text nor an image"),
        ("a.svg", {"content_type": "image/svg+xml"}, "it is neither text nor an image"),
        ("noending", {}, "it is neither text nor an image"),
        ("big.txt", {"size": intake.MAX_TEXT_BYTES + 1}, "it is larger than 256 KiB"),
        (
            "big.png",
            {"size": intake.MAX_IMAGE_BYTES + 1, "content_type": "image/png"},
            "it is larger than 8192 KiB",
        ),
    ],
)
async def test_what_is_too_large_or_of_another_kind_is_not_fetched(
    read, cdn, name, fields, problem
):
    (attachment,) = await read(name, **fields)
    assert attachment.problem == problem
    assert cdn[1] == []


async def test_a_server_that_hangs_costs_the_time_out_and_no_more(read, monkeypatch):
    monkeypatch.setattr(intake, "FETCH_TIMEOUT_S", 0.2)
    hanging, plain = await asyncio.wait_for(read("hanging.txt", "plain.txt"), 10)
    assert hanging.problem == "it could not be fetched"
    assert plain.text == "héllo\nworld"


async def test_a_server_that_is_not_there_is_told(guild):
    async with aiohttp.ClientSession() as session:
        attachment = an_attachment(guild, "a.txt", "http://127.0.0.1:1/a.txt")
        (read,) = await intake.read_attachments([attachment], session=session)
    assert read.problem == "it could not be fetched"


async def test_only_so_many_files_are_read_and_the_others_are_named(read, cdn):
    files = await read(*["plain.txt"] * 8)
    assert [bool(file.text) for file in files] == [True] * 6 + [False] * 2
    assert files[7].problem == "only 6 files are read at a time"
    assert len(cdn[1]) == 6


async def test_text_files_share_one_bound(read):
    first, second, third = await read("long.txt", "plain.txt", "plain.txt")
    assert first.text == "y" * (intake.MAX_TEXT_CHARS - 10)
    assert second.text == "héllo\nworl\n[… 1 more characters of this file left out]"
    assert third.text == "\n[… 11 more characters of this file left out]"


@pytest.mark.parametrize("name", ["a.py", "A.PY", "x.tar.rs", "Dockerfile", "notes.MD"])
async def test_code_is_known_by_its_name(read, name):
    (attachment,) = await read(name)
    assert attachment.problem == "it could not be fetched", "it was worth fetching"


async def test_text_is_known_by_its_type(read):
    (attachment,) = await read("noending", content_type="text/x-odd; charset=utf-8")
    assert attachment.problem == "it could not be fetched", "it was worth fetching"
