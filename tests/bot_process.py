"""The real bot in a process of its own, for end-to-end tests and benchmarks.

async with Stage() as stage:          a playground, a scripted model, and the bot on both
    await stage.alice.send("chat", "hello")
    reply = await stage.finished_reply("chat")
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from config import Config
from playground import Human, Playground
from playground.model import ModelServer, Script

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "end.to.end"
START_TIMEOUT_S = 60.0


class BotProcess:
    """`bot.py` as a child process, its settings given by the environment alone.

    Args:
        environ: settings by name; they replace those of this process.
        directory: its working directory, where it finds no `.env` of ours.
        program: what to run instead of `bot.py`.
    """

    def __init__(
        self, environ: Mapping[str, str], *, directory: Path, program: Sequence[str] = ()
    ) -> None:
        # Settings of the person who runs the tests must not reach the bot under test.
        ours = {name for name in vars(Config) if name.isupper()}
        clean = {name: value for name, value in os.environ.items() if name not in ours}
        self._environ = {**clean, **environ, "PYTHONPATH": str(ROOT)}
        self._directory = directory
        self._program = list(program) or [str(ROOT / "bot.py")]
        self._process: asyncio.subprocess.Process | None = None
        self._collecting: asyncio.Task[None] | None = None
        self.output: list[str] = []
        self._said = asyncio.Event()

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._program,
            env=self._environ,
            cwd=self._directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._collecting = asyncio.create_task(self._collect(), name="bot-output")

    async def _collect(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.output.append(line.decode("utf-8", "replace").rstrip())
            self._said.set()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return "\n".join(self.output)

    @property
    def records(self) -> list[dict[str, Any]]:
        """What it has logged, oldest first; with LOG_FORMAT=json."""
        return [json.loads(line) for line in self.output if line.startswith('{"time": ')]

    async def logged(
        self, is_wanted: Callable[[dict[str, Any]], bool], *, timeout_s: float = START_TIMEOUT_S
    ) -> dict[str, Any]:
        """The first record that `is_wanted`, there already or to come."""
        async with asyncio.timeout(timeout_s):
            while not (found := next(filter(is_wanted, self.records), None)):
                self._said.clear()
                await self._said.wait()
        return found

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def signal(self, number: signal.Signals) -> None:
        if self.is_running:
            assert self._process is not None
            self._process.send_signal(number)

    async def wait(self, timeout_s: float = START_TIMEOUT_S) -> int:
        """Its exit status."""
        assert self._process is not None
        status = await asyncio.wait_for(self._process.wait(), timeout_s)
        if self._collecting is not None:
            await self._collecting
        return status

    async def kill(self) -> None:
        """As `kill -9`."""
        if self.is_running:
            assert self._process is not None
            self._process.kill()
        if self._process is not None:
            await self.wait()

    def resident_mib(self) -> float:
        """Resident memory; Linux."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Stage:
    """A playground and a scripted model in this process, the real bot in another.

    Args:
        script: what the model says.
        settings: settings of the bot beyond those that connect it.
        program: what to run instead of `bot.py`.
        start_bot: start it and wait until it is online.
    """

    def __init__(
        self,
        script: Any = None,
        *,
        settings: Mapping[str, str] | None = None,
        program: Sequence[str] = (),
        start_bot: bool = True,
    ) -> None:
        self.model = ModelServer(script or Script.of("Hello there, nice to meet you."))
        self.playground = Playground(port=0, token=TOKEN)
        self._settings = dict(settings or {})
        self._program = program
        self._start_bot = start_bot
        self._directory = tempfile.TemporaryDirectory(prefix="bot-stage-")
        self.bot: BotProcess

    async def __aenter__(self) -> Self:
        await self.model.__aenter__()
        await self.playground.__aenter__()
        self.bot = self.new_bot()
        if self._start_bot:
            try:
                await self.start()
            except BaseException:
                await self.__aexit__()
                raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.bot.kill()
        await self.playground.__aexit__(None, None, None)
        await self.model.__aexit__(None, None, None)
        self._directory.cleanup()

    def new_bot(self, **settings: str) -> BotProcess:
        """A bot that is not started yet, on the same data as the others of this stage."""
        return BotProcess(
            {**self.settings, **settings}, directory=self.directory, program=self._program
        )

    async def start(self) -> None:
        """Start the bot and wait until it hears messages."""
        await self.bot.start()
        online = asyncio.create_task(self.playground.bot_online(START_TIMEOUT_S))
        ended = asyncio.create_task(self.bot.wait())
        try:
            await asyncio.wait([online, ended], return_when=asyncio.FIRST_COMPLETED)
            if not online.done():
                raise RuntimeError(f"the bot ended before it was online:\n{self.bot.log}")
            await online
        finally:
            online.cancel()
            ended.cancel()

    async def restart(self, **settings: str) -> None:
        """End the bot if it runs, and start it again."""
        if self.bot.is_running:
            self.bot.signal(signal.SIGTERM)
            await self.bot.wait()
            await self.playground.bot_offline()
        self.bot = self.new_bot(**settings)
        await self.start()

    @property
    def directory(self) -> Path:
        return Path(self._directory.name)

    @property
    def history_dir(self) -> Path:
        return self.directory / "data" / "history"

    @property
    def settings(self) -> dict[str, str]:
        return {
            "DISCORD_TOKEN": TOKEN,
            "DISCORD_API_URL": self.playground.api_url,
            "DISCORD_GATEWAY_URL": self.playground.gateway_url,
            "OPENAI_BASE_URL": self.model.base_url,
            "LLM_MODEL": "scripted",
            "AUTO_REPLY_CHANNEL_IDS": str(self.playground.world.channel("chat").id),
            "NATURAL_TYPING_DELAY_ENABLED": "false",
            **self._settings,
        }

    @property
    def alice(self) -> Human:
        return self.playground.human("Alice")

    @property
    def bob(self) -> Human:
        return self.playground.human("Bob")

    def new_messages(self) -> Observation:
        """Everything the bot posts and edits from now on."""
        return Observation(self.playground)

    async def ask(self, text: str, *, place: str = "chat", **options: Any) -> dict[str, Any]:
        """Send as Alice and wait for the finished answer: its last message."""
        with self.new_messages() as seen:
            await self.alice.send(place, text, **options)
            return await seen.finished()


class Observation:
    """What people see of the bot from the moment this is entered."""

    def __init__(self, playground: Playground) -> None:
        self._playground = playground
        self._watch = playground.watch()
        self.updates: list[tuple[float, dict[str, Any]]] = []  # monotonic seconds, message

    def __enter__(self) -> Self:
        self._events: AsyncIterator[Any] = self._watch.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._watch.__exit__(None, None, None)

    async def until(self, is_wanted: Any, *, timeout_s: float = 60.0) -> dict[str, Any]:
        """The first update of a message of the bot that `is_wanted`."""
        async with asyncio.timeout(timeout_s):
            async for event in self._events:
                if event.name not in ("MESSAGE_CREATE", "MESSAGE_UPDATE"):
                    continue
                message: dict[str, Any] = event.data
                if not message["author"].get("bot"):
                    continue
                self.updates.append((event.at, message))
                if is_wanted(message):
                    return message
        raise AssertionError("the playground ended")

    async def first(self, **options: Any) -> dict[str, Any]:
        """The first message of the bot that shows text."""
        return await self.until(lambda message: bool(message["content"]), **options)

    async def finished(self, **options: Any) -> dict[str, Any]:
        """The last message of an answer, once it has its final controls."""
        return await self.until(is_finished, **options)


def button_labels(message: dict[str, Any]) -> list[str]:
    return [b["label"] for row in message.get("components", []) for b in row["components"]]


def button_id(message: dict[str, Any], label: str) -> str:
    """The custom id of a button by its label."""
    buttons = [b for row in message["components"] for b in row["components"]]
    return str(next(b["custom_id"] for b in buttons if b["label"] == label))


def is_finished(message: dict[str, Any]) -> bool:
    return "Try again" in button_labels(message)
