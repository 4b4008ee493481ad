"""The voice websocket with a client of bare frames: who is let in, and what a resume gets."""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from playground import Playground
from playground.gateway import Op
from playground.seed import BOT_ID, GUILD_ID, LOUNGE_ID, STUDIO_ID
from playground.voice.ops import VoiceOp
from playground.voice.rtp import MODE
from tests.playground.conftest import TIMEOUT_S
from tests.playground.voice.conftest import until


class Socket:
    """A websocket that speaks opcodes."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, op: int, data: Any) -> None:
        await self.socket.send_json({"op": int(op), "d": data})

    async def receive(self) -> Any:
        """The next JSON frame's content, a binary one's bytes, or the close code."""
        frame = await self.socket.receive(timeout=TIMEOUT_S)
        if frame.type is aiohttp.WSMsgType.TEXT:
            return frame.json()
        if frame.type is aiohttp.WSMsgType.BINARY:
            return frame.data
        return self.socket.close_code

    async def until(self, op: int) -> Any:
        """The next JSON frame of that opcode."""
        while True:
            frame = await self.receive()
            assert not isinstance(frame, int), f"closed with {frame}"
            if isinstance(frame, dict) and frame["op"] == op:
                return frame

    async def close_code(self) -> int:
        while not isinstance(frame := await self.receive(), int):
            pass
        return frame


@dataclass
class Bot:
    """A bot that asked for a voice channel and may now enter it."""

    pg: Playground
    session: aiohttp.ClientSession
    gateway: Socket
    session_id: str
    token: str

    async def dial(self) -> Socket:
        url = f"wss://{self.pg.voice.endpoint}/?v=8"
        socket = Socket(await self.session.ws_connect(url, ssl=self.pg.client_context()))
        await socket.until(VoiceOp.HELLO)
        return socket

    def credentials(self, **changes: Any) -> dict[str, Any]:
        return {
            "server_id": GUILD_ID,
            "user_id": BOT_ID,
            "session_id": self.session_id,
            "token": self.token,
            "max_dave_protocol_version": 1,
            **changes,
        }

    async def enter(self) -> Socket:
        """Get as far as the session description."""
        socket = await self.dial()
        await socket.send(VoiceOp.IDENTIFY, self.credentials())
        await socket.until(VoiceOp.READY)
        address = {"address": "127.0.0.1", "port": 1, "mode": MODE}
        await socket.send(VoiceOp.SELECT_PROTOCOL, {"protocol": "udp", "data": address})
        await socket.until(VoiceOp.SESSION_DESCRIPTION)
        return socket

    async def ask_for(self, channel_id: str | None) -> None:
        await self.gateway.send(
            Op.VOICE_STATE_UPDATE, {"guild_id": GUILD_ID, "channel_id": channel_id}
        )

    async def event(self, name: str) -> Any:
        while (frame := await self.gateway.until(Op.DISPATCH))["t"] != name:
            pass
        return frame["d"]


@pytest.fixture
async def bot(pg: Playground, session: aiohttp.ClientSession):
    async with session.ws_connect(pg.gateway_url) as raw:
        gateway = Socket(raw)
        await gateway.send(Op.IDENTIFY, {"token": pg.token, "intents": 1 << 0 | 1 << 7})
        bot = Bot(pg, session, gateway, "", "")
        bot.session_id = (await bot.event("READY"))["session_id"]
        await bot.ask_for(LOUNGE_ID)
        assert (await bot.event("VOICE_STATE_UPDATE"))["session_id"] == bot.session_id
        server = await bot.event("VOICE_SERVER_UPDATE")
        assert server["endpoint"] == pg.voice.endpoint
        bot.token = server["token"]
        yield bot


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"token": "wrong"}, 4004),
        ({"user_id": "1"}, 4004),
        ({"session_id": "wrong"}, 4006),
        ({"server_id": "1"}, 4006),
        ({"max_dave_protocol_version": 0}, 4017),
    ],
)
async def test_stranger_is_closed_with_the_reason(bot: Bot, changes, code):
    socket = await bot.dial()
    await socket.send(VoiceOp.IDENTIFY, bot.credentials(**changes))
    assert await socket.close_code() == code


@pytest.mark.parametrize(
    ("op", "data", "code"),
    [
        (99, {}, 4001),
        (VoiceOp.IDENTIFY, None, 4002),
        (VoiceOp.SPEAKING, {"speaking": 1}, 4003),
        (VoiceOp.RESUME, {"server_id": GUILD_ID, "session_id": "x", "token": "x"}, 4006),
    ],
)
async def test_wrong_first_words_are_closed_with_the_reason(bot: Bot, op, data, code):
    socket = await bot.dial()
    await socket.send(op, data)
    assert await socket.close_code() == code


@pytest.mark.parametrize(
    ("protocol", "mode", "code"), [("webrtc", MODE, 4012), ("udp", "xsalsa20_poly1305", 4016)]
)
async def test_other_protocols_and_modes_are_refused(bot: Bot, protocol, mode, code):
    socket = await bot.dial()
    await socket.send(VoiceOp.IDENTIFY, bot.credentials())
    assert (await socket.until(VoiceOp.READY))["d"]["modes"] == [MODE]
    data = {"address": "127.0.0.1", "port": 1, "mode": mode}
    await socket.send(VoiceOp.SELECT_PROTOCOL, {"protocol": protocol, "data": data})
    assert await socket.close_code() == code


async def test_malformed_commit_closes_its_sender_alone(bot: Bot):
    alice = await bot.pg.human("Alice").join_voice("Lounge")
    socket = await bot.enter()
    await socket.socket.send_bytes(bytes((VoiceOp.MLS_COMMIT_WELCOME, 1, 2, 3)))
    assert await socket.close_code() == 4002
    assert alice.channel_id == LOUNGE_ID


async def test_second_identify_is_refused(bot: Bot):
    socket = await bot.enter()
    await socket.send(VoiceOp.IDENTIFY, bot.credentials())
    assert await socket.close_code() == 4005


async def test_heartbeat_is_acknowledged_with_its_own_time(bot: Bot):
    socket = await bot.dial()
    await socket.send(VoiceOp.HEARTBEAT, {"t": 123, "seq_ack": -1})
    assert (await socket.until(VoiceOp.HEARTBEAT_ACK))["d"] == {"t": 123}


async def test_newcomer_learns_who_is_there_and_the_others_of_the_newcomer(bot: Bot):
    alice = await bot.pg.human("Alice").join_voice("Lounge")
    socket = await bot.enter()
    assert (await socket.until(VoiceOp.CLIENTS_CONNECT))["d"] == {"user_ids": [alice.user_id]}
    bob = await bot.pg.human("Bob").join_voice("Lounge")
    assert (await socket.until(VoiceOp.CLIENTS_CONNECT))["d"] == {"user_ids": [bob.user_id]}
    await bot.pg.human("Bob").leave_voice()
    assert (await socket.until(VoiceOp.CLIENT_DISCONNECT))["d"] == {"user_id": bob.user_id}


async def test_resume_gets_what_it_missed_exactly_once(bot: Bot):
    socket = await bot.enter()
    external_sender = await socket.receive()
    assert external_sender[2] == VoiceOp.MLS_EXTERNAL_SENDER
    seen = int.from_bytes(external_sender[:2])
    await bot.pg.faults.close_voice(4015)
    assert await socket.close_code() == 4015
    bob = await bot.pg.human("Bob").join_voice("Lounge")
    await bot.pg.human("Bob").leave_voice()
    resumed = await bot.dial()
    await resumed.send(VoiceOp.RESUME, bot.credentials(seq_ack=seen))
    frames = [await resumed.receive() for _ in range(3)]
    ops = [VoiceOp.RESUMED, VoiceOp.CLIENTS_CONNECT, VoiceOp.CLIENT_DISCONNECT]
    assert [frame["op"] for frame in frames] == ops
    assert [frame.get("seq") for frame in frames] == [None, seen + 1, seen + 2]
    assert frames[2]["d"] == {"user_id": bob.user_id}
    await resumed.send(VoiceOp.HEARTBEAT, {"t": 1})
    assert (await resumed.receive())["op"] == VoiceOp.HEARTBEAT_ACK


@pytest.mark.parametrize("code", [4006, 4014])
async def test_session_that_is_gone_cannot_be_resumed(bot: Bot, code):
    socket = await bot.enter()
    await bot.pg.faults.close_voice(code)
    assert await socket.close_code() == code
    resumed = await bot.dial()
    await resumed.send(VoiceOp.RESUME, bot.credentials(seq_ack=-1))
    assert await resumed.close_code() == 4006


async def test_move_closes_with_4014_and_brings_a_new_token(bot: Bot):
    socket = await bot.enter()
    await bot.pg.faults.move_bot(bot.pg.world.channel("Studio"))
    assert await socket.close_code() == 4014
    assert (await bot.event("VOICE_STATE_UPDATE"))["channel_id"] == STUDIO_ID
    server = await bot.event("VOICE_SERVER_UPDATE")
    assert server["token"] != bot.token
    bot.token = server["token"]
    await bot.enter()


async def test_closed_or_full_channel_does_not_answer(bot: Bot):
    world = bot.pg.world
    studio = world.channel("Studio")
    world.set_bot_access(studio, connect=False)
    await bot.ask_for(STUDIO_ID)
    await bot.ask_for(None)
    assert (await bot.event("VOICE_STATE_UPDATE"))["channel_id"] is None
    world.set_bot_access(studio)
    world.update_channel(studio, {"user_limit": 1})
    await bot.pg.human("Alice").join_voice("Studio")
    await bot.ask_for(STUDIO_ID)
    await bot.ask_for(LOUNGE_ID)
    states = [await bot.event("VOICE_STATE_UPDATE") for _ in range(2)]
    assert [(s["user_id"] == BOT_ID, s["channel_id"]) for s in states] == [
        (False, STUDIO_ID),
        (True, LOUNGE_ID),
    ]


async def test_client_without_the_certificate_does_not_get_in(bot: Bot):
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await bot.session.ws_connect(f"wss://{bot.pg.voice.endpoint}/?v=8")


async def test_datagrams_of_strangers_are_counted_and_change_nothing(bot: Bot):
    alice = await bot.pg.human("Alice").join_voice("Lounge")
    await bot.enter()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=bot.pg.voice.udp_address
    )
    refused_before = bot.pg.voice.refused_datagrams
    for data in (b"", b"\x80\x78", b"\x80\x78" + bytes(40), b"\x00\x01" + bytes(72)):
        transport.sendto(data)
    await until(lambda: bot.pg.voice.refused_datagrams >= refused_before + 3)
    transport.close()
    assert not alice.heard


async def test_certificate_satisfies_the_strictest_check(pg: Playground, session):
    context = pg.client_context()
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    async with session.ws_connect(f"wss://{pg.voice.endpoint}/?v=8", ssl=context) as socket:
        assert (await socket.receive_json())["op"] == VoiceOp.HELLO
