"""The page's socket and uploads, as PROTOCOL.md lays them down."""

import asyncio
from typing import Any

import aiohttp
import pytest

from playground import Playground
from playground.seed import ALICE_ID, BOB_ID, CHAT_ID, GENERAL_ID, HELP_ID
from tests.playground.conftest import TIMEOUT_S


class PageClient:
    """What the page does with its socket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.frames: list[dict[str, Any]] = []
        self.hello: dict[str, Any] = {}
        self.n = 0

    async def frame(self, name):
        """The next frame of that name; those that came before are kept."""
        for index, frame in enumerate(self.frames):
            if frame["t"] == name:
                return self.frames.pop(index)["d"]
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                frame = await self.socket.receive_json()
                if frame["t"] == name:
                    return frame["d"]
                self.frames.append(frame)

    async def ask(self, op, **fields):
        self.n += 1
        await self.socket.send_json({"op": op, "n": self.n, **fields})
        result = await self.frame("RESULT")
        assert result["n"] == self.n
        return result

    async def do(self, op, person=ALICE_ID, **fields):
        result = await self.ask(op, **{"as": person}, **fields)
        assert result["ok"], result
        return result["data"]

    async def refused(self, op, person=ALICE_ID, **fields):
        result = await self.ask(op, **{"as": person}, **fields)
        assert not result["ok"], result
        return result["error"]


@pytest.fixture
async def page(pg: Playground, session):
    async with session.ws_connect(f"{pg.page_url}page/socket") as socket:
        client = PageClient(socket)
        client.hello = await client.frame("HELLO")
        yield client


async def test_hello_describes_the_whole_place(page):
    hello = page.hello
    assert hello["guild"]["name"] == "Playground"
    assert [user["global_name"] for user in hello["users"]] == ["Alice", "Bob", "Chen"]
    assert hello["bot"]["user"]["bot"]
    assert hello["bot"]["online"] is False
    assert hello["default_channel_id"] == CHAT_ID
    assert hello["notice"] is None
    assert hello["commands"] == []
    by_id = {channel["id"]: channel for channel in hello["channels"]}
    assert by_id[CHAT_ID]["answers_all"] is True
    dms = [channel for channel in hello["channels"] if channel["type"] == 1]
    assert [dm["recipients"][0]["global_name"] for dm in dms] == ["Alice", "Bob", "Chen"]


async def test_message_is_sent_replied_to_edited_reacted_to_and_deleted(page):
    sent = (await page.do("send", channel_id=CHAT_ID, content="hi"))["message"]
    assert (await page.frame("MESSAGE_CREATE"))["content"] == "hi"
    at = {"channel_id": CHAT_ID, "message_id": sent["id"]}
    reply = await page.do("send", BOB_ID, channel_id=CHAT_ID, content="ho", reply_to=sent["id"])
    assert reply["message"]["referenced_message"]["content"] == "hi"
    edited = await page.do("edit", **at, content="hi!")
    assert edited["message"]["content"] == "hi!"
    assert (await page.frame("MESSAGE_UPDATE"))["content"] == "hi!"
    await page.do("react", BOB_ID, **at, emoji="🎉")
    assert await page.frame("REACTION_ADD") == {**at, "user_id": BOB_ID, "emoji": {"name": "🎉"}}
    await page.do("react", BOB_ID, **at, emoji="🎉", remove=True)
    assert (await page.frame("REACTION_REMOVE"))["user_id"] == BOB_ID
    await page.do("delete", **at)
    assert await page.frame("MESSAGE_DELETE") == {"id": sent["id"], "channel_id": CHAT_ID}
    history = await page.ask("history", channel_id=CHAT_ID)
    assert [m["content"] for m in history["data"]["messages"]] == ["ho"]


async def test_history_comes_oldest_first_in_pages(page):
    for number in range(5):
        await page.do("send", channel_id=CHAT_ID, content=str(number))
    newest = (await page.ask("history", channel_id=CHAT_ID, limit=2))["data"]["messages"]
    assert [m["content"] for m in newest] == ["3", "4"]
    before = await page.ask("history", channel_id=CHAT_ID, limit=2, before=newest[0]["id"])
    assert [m["content"] for m in before["data"]["messages"]] == ["1", "2"]


async def test_typing_is_shown(page):
    await page.do("typing", channel_id=CHAT_ID)
    typing = await page.frame("TYPING_START")
    assert (typing["channel_id"], typing["user_id"]) == (CHAT_ID, ALICE_ID)


async def test_thread_and_forum_post_are_opened(page):
    thread = (await page.do("create_thread", channel_id=GENERAL_ID, name="Side"))["channel"]
    assert (await page.frame("THREAD_CREATE"))["id"] == thread["id"]
    sent = (await page.do("send", channel_id=CHAT_ID, content="from this"))["message"]
    started = await page.do("create_thread", channel_id=CHAT_ID, name="More", message_id=sent["id"])
    assert started["channel"]["id"] == sent["id"]
    assert (await page.frame("MESSAGE_UPDATE"))["thread"]["name"] == "More"
    post = await page.do("create_thread", channel_id=HELP_ID, name="How?", content="Help!")
    messages = await page.ask("history", channel_id=post["channel"]["id"])
    assert [m["content"] for m in messages["data"]["messages"]] == ["Help!"]


@pytest.mark.parametrize(
    ("op", "fields", "sentence"),
    [
        ("send", {"channel_id": CHAT_ID, "content": ""}, "A message needs some text or a file."),
        ("send", {"channel_id": CHAT_ID, "content": "x" * 2_001}, "2,000 characters"),
        ("send", {"channel_id": "1", "content": "x"}, "That channel is gone."),
        ("send", {"channel_id": CHAT_ID, "content": 5}, "wrong “content”"),
        ("send", {"content": "x"}, "no “channel_id”"),
        ("edit", {"channel_id": CHAT_ID, "message_id": "1", "content": "x"}, "message is gone"),
        ("send", {"channel_id": HELP_ID, "content": "x"}, "non-text channel"),
        ("create_thread", {"channel_id": CHAT_ID, "name": ""}, "A name needs"),
        ("click", {"channel_id": CHAT_ID, "message_id": "1", "custom_id": "x"}, "is gone"),
        ("slash", {"channel_id": CHAT_ID, "name": "x"}, "no such command"),
        ("fly", {}, "something unknown"),
    ],
)
async def test_refused_request_gets_one_sentence(page, op, fields, sentence):
    assert sentence in await page.refused(op, **fields)


async def test_nobody_acts_for_another(page):
    message = (await page.do("send", channel_id=CHAT_ID, content="mine"))["message"]
    at = {"channel_id": CHAT_ID, "message_id": message["id"]}
    assert await page.refused("edit", BOB_ID, **at, content="x")
    assert await page.refused("delete", BOB_ID, **at)
    dm = next(c for c in page.hello["channels"] if c["type"] == 1)
    assert await page.refused("send", BOB_ID, channel_id=dm["id"], content="x")
    assert await page.refused("send", "1", channel_id=CHAT_ID, content="x")


async def test_upload_is_sent_with_a_message(pg: Playground, page, session):
    form = aiohttp.FormData()
    form.add_field("file", b"hello", filename="notes.txt")
    async with session.post(f"{pg.page_url}page/upload", data=form) as response:
        upload = await response.json()
    assert upload["filename"] == "notes.txt"
    assert upload["size"] == 5
    assert upload["content_type"].startswith("text/plain")
    send = {"channel_id": CHAT_ID, "content": "", "uploads": [upload["upload_id"]]}
    message = (await page.do("send", **send))["message"]
    assert message["attachments"][0]["filename"] == "notes.txt"
    assert "add the file again" in await page.refused("send", **send)


async def test_upload_over_8_mib_is_refused_with_a_sentence(pg: Playground, session):
    form = aiohttp.FormData()
    form.add_field("file", bytes(8 * 1024 * 1024 + 1), filename="big.bin")
    async with session.post(f"{pg.page_url}page/upload", data=form) as response:
        assert response.status == 413
        assert (await response.json())["error"] == "A file can have 8 MiB at most."


async def test_page_sees_the_bot_come_and_go_and_its_commands(pg: Playground, page, connect):
    client = await connect()
    assert await page.frame("BOT") == {"online": True}

    @client.tree.command(description="x")
    async def hello(interaction):
        await interaction.response.send_message("hi")

    await client.tree.sync()
    assert [c["name"] for c in (await page.frame("COMMANDS"))["commands"]] == ["hello"]
    await page.do("slash", channel_id=CHAT_ID, name="hello", options={})
    assert (await page.frame("MESSAGE_CREATE"))["content"] == "hi"
    await client.close()
    assert await page.frame("BOT") == {"online": False}


async def test_new_notice_is_shown_on_open_pages(pg: Playground, page):
    pg.set_notice("Only a demo.")
    assert (await page.frame("HELLO"))["notice"] == "Only a demo."


async def test_page_that_reads_nothing_is_cut_off(pg: Playground, page):
    for _ in range(5_001):  # in one breath: nothing can be sent in between
        pg.world.type_in(pg.world.channel("chat"), pg.world.user("Bob"))
    async with asyncio.timeout(TIMEOUT_S):
        while (await page.socket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
    assert page.socket.closed


@pytest.mark.parametrize("frame", ["{nope", "[]", "5"])
async def test_garbage_closes_the_socket_and_nothing_else(pg: Playground, page, session, frame):
    await page.socket.send_str(frame)
    async with asyncio.timeout(TIMEOUT_S):
        while (await page.socket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
    assert page.socket.close_code == 1003
    async with session.get(pg.page_url) as response:
        assert response.status == 200
