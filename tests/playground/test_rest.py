"""REST against real discord.py, and single requests where the library would pace or retry."""

import io

import aiohttp
import discord
import pytest

from playground import Limits, Playground, Rate
from playground.seed import BOT_ID, CHAT_ID, GENERAL_ID, GUILD_ID

CHAT = f"/channels/{CHAT_ID}"


@pytest.fixture
async def room(pg: Playground, connect):
    """The client's own view of #chat."""
    client = await connect()
    return await client.fetch_channel(int(CHAT_ID))


async def test_send_edit_and_delete(pg: Playground, room):
    message = await room.send("  one  ")
    assert message.content == "one"
    edited = await message.edit(content="two")
    assert edited.edited_at is not None
    assert (await room.fetch_message(message.id)).content == "two"
    await message.delete()
    with pytest.raises(discord.NotFound) as gone:
        await room.fetch_message(message.id)
    assert gone.value.code == 10008


async def test_too_long_and_empty_messages_are_refused_as_on_discord(room):
    with pytest.raises(discord.HTTPException) as too_long:
        await room.send("x" * 2_001)
    assert (too_long.value.status, too_long.value.code) == (400, 50035)
    with pytest.raises(discord.HTTPException) as empty:
        await room.send("   ")
    assert empty.value.code == 50006


async def test_files_travel_both_ways(pg: Playground, room):
    files = [discord.File(io.BytesIO(b"a,b\n1,2"), "t.csv", description="a table")]
    message = await room.send("see", files=files)
    attachment = message.attachments[0]
    assert (attachment.filename, attachment.size) == ("t.csv", 7)
    assert attachment.description == "a table"
    assert await attachment.read() == b"a,b\n1,2"
    message = await message.add_files(discord.File(io.BytesIO(b"x"), "b.txt"))
    assert [a.filename for a in message.attachments] == ["t.csv", "b.txt"]
    message = await message.edit(attachments=[message.attachments[1]])
    assert [a.filename for a in message.attachments] == ["b.txt"]


async def test_file_that_is_too_large_gets_413(pg: Playground, room):
    with pytest.raises(discord.HTTPException) as refused:
        await room.send(file=discord.File(io.BytesIO(bytes(8 * 1024 * 1024 + 1)), "big.bin"))
    assert refused.value.status == 413


async def test_mentions_follow_allowed_mentions(pg: Playground, room):
    bob = pg.human("Bob")
    loud = await room.send(f"{bob.mention} @everyone")
    assert [user.display_name for user in loud.mentions] == ["Bob"]
    assert loud.mention_everyone
    quiet = await room.send(
        f"{bob.mention} @everyone", allowed_mentions=discord.AllowedMentions.none()
    )
    assert quiet.mentions == []
    assert not quiet.mention_everyone
    edited = await quiet.edit(
        content=f"{bob.mention} again", allowed_mentions=discord.AllowedMentions.none()
    )
    assert edited.mentions == []


async def test_reply_pings_unless_told_not_to(pg: Playground, room):
    question = await pg.human("Bob").send("chat", "?")
    partial = room.get_partial_message(int(question["id"]))
    assert len((await partial.reply("a")).mentions) == 1
    assert (await partial.reply("b", mention_author=False)).mentions == []


async def test_reply_to_a_deleted_message_can_be_sent_plainly(pg: Playground, room):
    bob = pg.human("Bob")
    question = await bob.send("chat", "?")
    await bob.delete(question)
    partial = room.get_partial_message(int(question["id"]))
    with pytest.raises(discord.HTTPException) as refused:
        await partial.reply("a")
    assert refused.value.code == 50035
    reference = partial.to_reference(fail_if_not_exists=False)
    assert (await room.send("b", reference=reference)).reference is None


async def test_suppressed_embeds_flag_is_kept_and_changed(room):
    message = await room.send("https://example.org", suppress_embeds=True)
    assert message.flags.suppress_embeds
    message = await room.get_partial_message(message.id).edit(content="other")
    assert message.flags.suppress_embeds
    assert not (await message.edit(suppress=False)).flags.suppress_embeds


async def test_nonce_makes_a_repeated_send_one_message(pg: Playground, room):
    first = await room.send("once", nonce=1234)
    assert (await room.send("once", nonce=1234)).id == first.id


async def test_message_sent_but_unanswered_is_not_doubled_by_its_retry(pg: Playground, api):
    pg.faults.fail_next(status=502, method="POST", route="messages", takes_effect=True)
    body = {"content": "once", "nonce": "9", "enforce_nonce": True}
    status, _, _ = await api("POST", f"{CHAT}/messages", body)
    assert status == 502
    status, message, _ = await api("POST", f"{CHAT}/messages", body)
    assert status == 200
    assert list(pg.world.channel("chat").messages) == [message["id"]]


async def test_a_cut_request_has_no_answer_and_takes_effect_only_if_told_to(pg: Playground, api):
    for takes_effect, posted in ((False, 0), (True, 1)):
        pg.faults.cut_next(method="POST", route="messages", takes_effect=takes_effect)
        with pytest.raises(aiohttp.ClientConnectionError):
            await api("POST", f"{CHAT}/messages", {"content": "x"})
        assert len(pg.world.channel("chat").messages) == posted


async def test_history_reads_newest_first_and_hides_nothing_but_ephemerals(pg: Playground, room):
    for number in range(4):
        await pg.human("Alice").send("chat", str(number))
    texts = [message.content async for message in room.history(limit=3)]
    assert texts == ["3", "2", "1"]
    texts = [message.content async for message in room.history(limit=3, oldest_first=True)]
    assert texts == ["0", "1", "2"]


async def test_typing_shows(pg: Playground, room):
    with pg.watch() as events:
        async with room.typing():
            pass
        event = await anext(events)
    assert (event.name, event.data["user_id"]) == ("TYPING_START", BOT_ID)


async def test_reactions(pg: Playground, room):
    message = await room.send("vote")
    await message.add_reaction("👍")
    fetched = await room.fetch_message(message.id)
    assert (fetched.reactions[0].emoji, fetched.reactions[0].me) == ("👍", True)
    assert [user.id async for user in fetched.reactions[0].users()] == [int(BOT_ID)]
    await message.remove_reaction("👍", discord.Object(int(BOT_ID)))
    assert (await room.fetch_message(message.id)).reactions == []


async def test_thread_from_a_message(pg: Playground, room, connect):
    question = await pg.human("Alice").send("chat", "long story")
    message = await room.fetch_message(int(question["id"]))
    thread = await message.create_thread(name="Story")
    assert thread.id == message.id
    await thread.send("in here")
    posted = await pg.next_bot_message(
        pg.world.channel(thread.id), matching=lambda m: m["content"] == "in here"
    )
    assert posted["channel_id"] == str(thread.id)
    assert (await room.fetch_message(message.id)).flags.has_thread
    archived = await thread.edit(archived=True)
    assert archived.archived
    await thread.delete()
    with pytest.raises(discord.NotFound):
        await room.guild.fetch_channel(thread.id)


async def test_person_opens_a_thread_and_the_bot_answers_inside(pg: Playground, connect):
    client = await connect()
    bob = pg.human("Bob")
    opened = await bob.create_thread("general", "Side talk", content="anybody?")
    assert (await client.next_event("thread")).name == "Side talk"
    heard = await client.next_message()
    while heard.content != "anybody?":
        heard = await client.next_message()
    assert isinstance(heard.channel, discord.Thread)
    assert str(heard.channel.parent) == "general"
    await heard.channel.send("me")
    assert await pg.next_bot_message(pg.world.channel(opened["id"]))


async def test_forum_post_by_a_person_and_by_the_bot(pg: Playground, connect):
    client = await connect()
    post = await pg.human("Chen").create_thread("help", "How?", content="It fails.")
    heard = await client.next_message()
    assert heard.content == "It fails."
    assert heard.channel.id == heard.id == int(post["id"])
    forum = heard.channel.parent
    created = await forum.create_thread(name="News", content="All well.")
    assert created.message.content == "All well."
    assert created.thread.id == created.message.id


async def test_bot_opens_a_direct_message(pg: Playground, connect):
    client = await connect()
    user = await client.fetch_user(int(pg.human("Bob").id))
    await user.send("hello")
    assert (await pg.next_bot_message(pg.human("Bob").dm))["content"] == "hello"


async def test_unknown_things_get_discords_404(api):
    for path, code in [
        ("/channels/1", 10003),
        (f"{CHAT}/messages/1", 10008),
        ("/users/1", 10013),
        ("/guilds/1", 10004),
        (f"/guilds/{GUILD_ID}/members/1", 10007),
        (f"/applications/{BOT_ID}/commands/1", 10063),
        ("/nothing/here", 0),
    ]:
        status, body, _ = await api("GET", path)
        assert (status, body["code"]) == (404, code), path


async def test_missing_or_wrong_token_gets_401(pg: Playground, api):
    status, body, _ = await api("GET", "/users/@me", headers={"Authorization": "Bot wrong"})
    assert (status, body) == (401, {"message": "401: Unauthorized", "code": 0})
    assert pg.invalid_requests == 1


async def test_bot_may_not_touch_others_words(pg: Playground, api):
    message = await pg.human("Bob").send("chat", "mine")
    path = f"{CHAT}/messages/{message['id']}"
    status, body, _ = await api("PATCH", path, {"content": "yours"})
    assert (status, body["code"]) == (403, 50005)
    status, _, _ = await api("PATCH", path, {"flags": 4})
    assert status == 200


async def test_channel_without_permission_to_write_gets_50013(pg: Playground, api):
    pg.world.set_bot_access(pg.world.channel("chat"), send=False)
    status, body, _ = await api("POST", f"{CHAT}/messages", {"content": "x"})
    assert (status, body["code"]) == (403, 50013)
    status, _, _ = await api("GET", f"{CHAT}/messages")
    assert status == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/messages", {"content": 5}),
        ("POST", "/messages", {"content": "x", "flags": "many"}),
        ("POST", "/messages", {"content": "x", "message_reference": "none"}),
        ("POST", "/messages", [1]),
        ("POST", "/messages", {"content": "x", "embeds": {}}),
        ("GET", "/messages?limit=0", None),
        ("GET", "/messages?limit=no", None),
        ("GET", "/messages?before=no", None),
        ("POST", "/threads", {"name": ""}),
        ("POST", "/threads", {"name": "x", "auto_archive_duration": 5}),
    ],
)
async def test_faulty_requests_get_400(api, method, path, body):
    status, answer, _ = await api(method, CHAT + path, body)
    assert status == 400
    assert answer["code"] in (50035, 50109)


async def test_body_that_is_no_json_gets_400(pg: Playground, session):
    headers = {"Authorization": f"Bot {pg.token}", "Content-Type": "application/json"}
    async with session.post(
        f"{pg.api_url}{CHAT}/messages", data=b"{nope", headers=headers
    ) as response:
        assert response.status == 400
        assert response.headers["Content-Type"] == "application/json"


async def test_json_has_the_plain_content_type_that_clients_ask_for(api):
    _, _, headers = await api("GET", "/users/@me")
    assert headers["Content-Type"] == "application/json"


async def test_exhausted_bucket_answers_429_with_everything_a_client_needs(pg: Playground, api):
    pg.limits.enabled, pg.limits.message_create = True, Rate(1, 600.0)
    status, _, headers = await api("POST", f"{CHAT}/messages", {"content": "1"})
    assert (status, headers["X-RateLimit-Remaining"]) == (200, "0")
    status, body, headers = await api("POST", f"{CHAT}/messages", {"content": "2"})
    assert status == 429
    assert 0 < body["retry_after"] <= 600
    assert body["global"] is False
    assert headers["Via"]
    assert headers["Retry-After"]
    assert headers["X-RateLimit-Scope"] == "user"
    assert pg.invalid_requests == 1
    status, _, _ = await api("POST", f"/channels/{GENERAL_ID}/messages", {"content": "3"})
    assert status == 200
    assert len(pg.world.channel("chat").messages) == 1


async def test_global_limit_answers_429_and_spares_interactions(pg: Playground, api):
    pg.limits.enabled, pg.limits.global_per_s = True, 0
    status, body, headers = await api("GET", CHAT)
    assert (status, body["global"]) == (429, True)
    assert headers["X-RateLimit-Scope"] == "global"
    status, _, _ = await api("POST", "/interactions/1/x/callback", {"type": 5})
    assert status == 404
    pg.limits.global_per_s = None
    assert (await api("GET", CHAT))[0] == 200


async def test_discord_py_paces_itself_by_the_headers(pg: Playground, room):
    pg.limits.enabled, pg.limits.message_create = True, Rate(2, 0.3)
    for number in range(6):
        await room.send(str(number))
    sends = [r for r in pg.requests if r.method == "POST" and r.route.endswith("/messages")]
    assert [record.status for record in sends] == [200] * 6
    assert sends[-1].at - sends[0].at >= 0.6


async def test_discord_py_waits_out_a_429(pg: Playground, room):
    pg.faults.fail_next(2, status=429, method="POST", route="messages", retry_after=0.01)
    assert (await room.send("x")).content == "x"
    statuses = [r.status for r in pg.requests if r.route.endswith("/messages")]
    assert statuses == [429, 429, 200]


async def test_faults_meet_only_what_they_name(pg: Playground, api):
    pg.faults.fail_next(status=403, method="POST", route="typing")
    pg.faults.fail_next(status=503, channel_id=GENERAL_ID)
    assert (await api("POST", f"{CHAT}/messages", {"content": "x"}))[0] == 200
    status, body, _ = await api("POST", f"{CHAT}/typing")
    assert (status, body["code"]) == (403, 50013)
    assert (await api("POST", f"{CHAT}/typing"))[0] == 204
    assert (await api("GET", f"/channels/{GENERAL_ID}"))[0] == 503
    assert (await api("GET", f"/channels/{GENERAL_ID}"))[0] == 200
    pg.faults.delay_next(0.05, route="typing")
    await api("POST", f"{CHAT}/typing")
    assert pg.requests[-1].finished_at - pg.requests[-1].at >= 0.05


async def test_requests_are_recorded_with_route_channel_and_status(pg: Playground, api):
    await api("POST", f"{CHAT}/messages", {"content": "x"})
    record = pg.requests[-1]
    assert (record.method, record.status) == ("POST", 200)
    assert (record.route, record.channel_id) == ("/channels/{channel_id}/messages", CHAT_ID)
    assert record.path == f"/api/v10{CHAT}/messages"
    assert record.at <= record.finished_at


async def test_other_bots_and_webhooks_can_speak(pg: Playground, connect):
    client = await connect()
    pg.world.post_as_other_bot(pg.world.channel("chat"), "beep")
    assert (await client.next_message()).author.bot
    pg.world.post_as_webhook(pg.world.channel("chat"), "news")
    assert (await client.next_message()).webhook_id is not None


async def test_server_listens_on_the_loopback_only():
    with pytest.raises(ValueError, match=r"127\.0\.0\.1 only"):
        Playground(host="0.0.0.0")


async def test_taken_port_is_replaced_by_a_free_one(pg: Playground):
    port = int(pg.page_url.rsplit(":", 1)[1].strip("/"))
    async with Playground(port=port, limits=Limits()) as second:
        assert second.page_url != pg.page_url


@pytest.mark.parametrize("path", ["/", "/api/v10/gateway", "/page/socket", "/gateway"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
    ],
)
async def test_foreign_host_and_origin_get_403(pg: Playground, session, path, headers):
    async with session.get(pg.page_url.rstrip("/") + path, headers=headers) as response:
        assert response.status == 403


async def test_own_origin_is_served(pg: Playground, session):
    origin = pg.page_url.rstrip("/")
    async with session.get(pg.page_url, headers={"Origin": origin}) as response:
        assert response.status == 200
        assert "default-src 'self'" in response.headers["Content-Security-Policy"]


async def test_static_files_do_not_lead_out_of_their_folder(pg: Playground, session):
    for path in ("static/../server.py", "static/%2e%2e/server.py", "static/..%2fserver.py"):
        async with session.get(pg.page_url + path) as response:
            assert response.status in (403, 404)
