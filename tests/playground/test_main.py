"""`python -m playground` as a process."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.playground.conftest import TIMEOUT_S

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def start():
    processes = []

    async def run(*arguments, **environment):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "playground",
            *arguments,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        processes.append(process)
        assert process.stdout is not None
        async with asyncio.timeout(TIMEOUT_S):
            line = await process.stdout.readline()
        return process, json.loads(line)

    yield run
    for process in processes:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(process):
    async with asyncio.timeout(TIMEOUT_S):
        output, errors = await process.communicate()
    return process.returncode, output, errors


async def test_one_line_tells_all_that_a_bot_needs(start, session):
    process, told = await start(PLAYGROUND_TOKEN="secret-1", PLAYGROUND_NOTICE="Hello there")
    assert set(told) == {
        "page_url",
        "api_url",
        "gateway_url",
        "token",
        "model_base_url",
        "chat_channel_id",
        "certificate",
        "owner_id",
    }
    assert told["token"] == "secret-1"
    headers = {"Authorization": f"Bot {told['token']}"}
    async with session.get(f"{told['api_url']}/users/@me", headers=headers) as response:
        assert (await response.json())["bot"] is True
    async with session.get(f"{told['model_base_url']}/models") as response:
        assert response.status == 200
    async with session.ws_connect(f"{told['page_url']}page/socket") as socket:
        assert (await socket.receive_json(timeout=TIMEOUT_S))["d"]["notice"] == "Hello there"
        process.stdin.write(b'not json\n{"notice": "Another"}\n')
        await process.stdin.drain()
        frame = await socket.receive_json(timeout=TIMEOUT_S)
        assert (frame["t"], frame["d"]["notice"]) == ("HELLO", "Another")


async def test_end_of_stdin_ends_it_quietly(start):
    process, _ = await start()
    process.stdin.close()
    assert await ended(process) == (0, b"", b"")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends_it_quietly_with_a_page_open(start, session, number):
    process, told = await start()
    async with session.ws_connect(f"{told['page_url']}page/socket") as socket:
        await socket.receive(timeout=TIMEOUT_S)
        process.send_signal(number)
        assert await ended(process) == (0, b"", b"")


async def test_tokens_are_random_and_a_taken_port_is_no_obstacle(start):
    _, first = await start()
    port = first["page_url"].rsplit(":", 1)[1].strip("/")
    _, second = await start("--port", port)
    assert second["page_url"] != first["page_url"]
    assert second["token"] != first["token"]
