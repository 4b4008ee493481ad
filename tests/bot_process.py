"""The real bot in a process of its own, for end-to-end tests and benchmarks.

async with Stage() as stage:          a playground, a scripted model, and the bot on both
    await stage.alice.send("chat", "hello")
    reply = await stage.finished_reply("chat")
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from config import Config
from playground import Human, Playground
from playground.limits import Rate
from playground.model import ModelServer, Script
from playground.seed import BOT_ID

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
        # Nor is a model looked for or fetched: what is installed makes no difference.
        same = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "TTS_PROVIDER": "espeak"}
        self._environ = {**clean, **same, **environ}
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

    async def printed(self, pattern: str, *, timeout_s: float = START_TIMEOUT_S) -> re.Match[str]:
        """The first match of `pattern` in its output, there already or to come."""
        async with asyncio.timeout(timeout_s):
            while not (found := re.search(pattern, self.log)):
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


@asynccontextmanager
async def playground_mode(
    directory: Path, *, port: int = 0, **settings: str
) -> AsyncIterator[tuple[BotProcess, str]]:
    """`bot.py --playground` in a directory of its own, and the address of its page."""
    program = [str(ROOT / "bot.py"), "--playground", "--port", str(port)]
    bot = BotProcess(settings, directory=directory, program=program)
    await bot.start()
    try:
        yield bot, (await bot.printed(r"Open (http://127\.0\.0\.1:\d+/)"))[1]
    finally:
        await bot.kill()


class Stage:
    """A playground and a scripted model in this process, the real bot in another.

    Args:
        script: what the model says.
        settings: settings of the bot beyond those that connect it.
        program: what to run instead of `bot.py`.
        start_bot: start it and wait until it is online.
        extra_servers: how many servers there are besides the first.
        extra_servers: of the playground, beside the first.
    """

    def __init__(
        self,
        script: Any = None,
        *,
        settings: Mapping[str, str] | None = None,
        program: Sequence[str] = (),
        start_bot: bool = True,
        extra_servers: int = 0,
    ) -> None:
        self.model = ModelServer(script or Script.of("Hello there, nice to meet you."))
        self.playground = Playground(port=0, token=TOKEN, extra_servers=extra_servers)
        self._settings = dict(settings or {})
        self._program = program
        self._start_bot = start_bot
        self._directory = tempfile.TemporaryDirectory(prefix="bot-stage-")
        self.bot: BotProcess

    async def __aenter__(self) -> Self:
        await self.model.__aenter__()
        await self.playground.__aenter__()
        # Its voice gateway insists on TLS, with a certificate of its own.
        self._certificate.write_text(self.playground.voice.certificate.pem, encoding="ascii")
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
    def _certificate(self) -> Path:
        return self.directory / "playground.pem"

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
            "USER_REQUESTS_PER_MINUTE": "0",
            "SSL_CERT_FILE": str(self._certificate),
            **self._settings,
        }

    async def commands_known(self) -> None:
        """Wait until the bot has told its slash commands after its first start."""
        await self.playground.wait_for(
            lambda event: event.name == "COMMANDS", since=0.0, timeout=START_TIMEOUT_S
        )

    def lift_limits(self) -> None:
        """Limits that no test runs into; their headers are still sent."""
        limits = self.playground.limits
        limits.message_create = limits.message_edit = limits.webhook = Rate(50, 1.0)

    async def room(self, name: str = "room", *, parent: str = "chat") -> dict[str, Any]:
        """A new thread of Alice's, so that a test has a conversation of its own."""
        return await self.alice.create_thread(parent, name)

    def begin(self, script: Any = None) -> None:
        """What the model says from now on; what it was asked before is forgotten."""
        self.model.script = script or Script.of("Hello there, nice to meet you.")
        self.model.calls.clear()

    async def asked(self, times: int = 1) -> None:
        """Wait until the model was asked so many times since `begin`."""
        async with asyncio.timeout(30.0):
            while len(self.model.calls) < times:
                await self.model.next_call()

    @property
    def prompts(self) -> list[list[dict[str, Any]]]:
        """The messages of each request to the model since `begin`."""
        return [call.messages for call in self.model.calls]

    def messages_of_bot(self, place: Any) -> list[dict[str, Any]]:
        """What the bot has standing in a channel, oldest first."""
        channel = self.playground.world.channel(place["id"] if isinstance(place, dict) else place)
        return [m for m in channel.messages.values() if m["author"]["id"] == BOT_ID]

    @property
    def alice(self) -> Human:
        return self.playground.human("Alice")

    @property
    def bob(self) -> Human:
        return self.playground.human("Bob")

    def new_messages(self) -> Observation:
        """Everything the bot posts and edits from now on."""
        return Observation(self.playground)

    async def ask(
        self, text: str, *, place: Any = "chat", person: Human | None = None, **options: Any
    ) -> dict[str, Any]:
        """Send a message, as Alice, and wait for the finished answer: its last message."""
        with self.new_messages() as seen:
            await (person or self.alice).send(place, text, **options)
            return await seen.finished()

    async def press(
        self, message: dict[str, Any], label: str, *, person: Human | None = None
    ) -> dict[str, Any]:
        """Press a button, as Alice, and wait for the answer that comes of it."""
        with self.new_messages() as seen:
            await (person or self.alice).click(message, button_id(message, label))
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

    async def until(self, is_wanted: Any, *, timeout_s: float = 30.0) -> dict[str, Any]:
        """The first update of a message of the bot that `is_wanted`."""
        while True:
            event = await self.event("MESSAGE_CREATE", "MESSAGE_UPDATE", timeout_s=timeout_s)
            message: dict[str, Any] = event.data
            if message["author"].get("bot") and is_wanted(message):
                return message

    async def event(self, *names: str, timeout_s: float = 30.0) -> Any:
        """The first event with one of these names; all before it are passed over."""
        async with asyncio.timeout(timeout_s):
            async for event in self._events:
                if event.name in ("MESSAGE_CREATE", "MESSAGE_UPDATE"):
                    message: dict[str, Any] = event.data
                    if message["author"].get("bot"):
                        self.updates.append((event.at, message))
                if event.name in names:
                    return event
        raise AssertionError("the playground ended")

    async def first(self, **options: Any) -> dict[str, Any]:
        """The first message of the bot that shows text."""
        return await self.until(lambda message: bool(message["content"]), **options)

    async def finished(self, **options: Any) -> dict[str, Any]:
        """The last message of an answer, once it has its final controls."""
        return await self.until(is_finished, **options)


def one_after_another(*scripts: Script) -> Any:
    """A model that says each of these once, then the last one again and again."""
    waiting = list(scripts)
    return lambda call: waiting.pop(0) if len(waiting) > 1 else waiting[0]


def button_labels(message: dict[str, Any]) -> list[str]:
    return [b["label"] for row in message.get("components", []) for b in row["components"]]


def button_id(message: dict[str, Any], label: str) -> str:
    """The custom id of a button by its label."""
    buttons = [b for row in message["components"] for b in row["components"]]
    return str(next(b["custom_id"] for b in buttons if b["label"] == label))


def is_finished(message: dict[str, Any]) -> bool:
    return "Try again" in button_labels(message)
