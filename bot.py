"""The bot: composition root. Config → services → cogs → run; closes in reverse order.

python bot.py                 on Discord, with the settings of .env
python bot.py --playground    on a Discord of its own, on this machine alone
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import hashlib
import json
import logging
import os
import shutil
import signal
import ssl
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self, cast
from urllib.parse import urlsplit

import aiohttp
import discord
import yarl
from discord.ext import commands

from cogs.admin import Admin
from cogs.chat import AccessRules, Chat, ChatSettings, Replies, ReplySettings
from cogs.context import ContextCommands
from cogs.errors import Errors
from cogs.help import Help
from cogs.persona import PersonaCommands
from cogs.privacy import Privacy
from cogs.profile import ProfileCommands
from cogs.usage import Usage
from cogs.voice import Voice, VoiceSettings
from config import Config
from services.atomic_write import replace_file
from services.background import BackgroundTasks
from services.container import Services
from services.context import Context
from services.conversation_summarizer import ConversationSummarizer
from services.errors import BotError
from services.history_store import HistoryStore
from services.llm import OPENAI_BASE_URL, LLMClient, LLMError, ModelEndpoint
from services.logging_setup import setup_logging
from services.metrics import Metrics
from services.personas import Persona, Personas
from services.prices import PriceTable
from services.profile_learner import ProfileLearner
from services.profile_store import ProfileStore
from services.query_optimizer import QueryOptimizer
from services.responder import Responder
from services.rest_pacing import RestPacer
from services.tokens import TokenCounter
from services.tts import SpeechProvider
from services.tts.espeak import EspeakSpeech
from services.tts.fallback import Speech
from services.tts.kokoro import KokoroSpeech
from services.tts.kokoro_model import PACKAGES as KOKORO_PACKAGES
from services.tts.kokoro_model import missing_packages
from services.tts.openai_speech import OpenAISpeech
from services.tts.phrase_cache import PhraseCache
from services.usage import Quotas, UsageStore
from services.voice.choices import VoiceChoices
from services.voice.session import SpeechSettings
from services.voice.sessions import VoiceSessions

log = logging.getLogger("bot")

ROOT = Path(__file__).parent

SHUTDOWN_GRACE_S = 10.0  # for answers that are being made when the process is asked to end
LOGIN_RETRY_MAX_S = 60.0
REST_KEEP_ALIVE_S = 120.0
OLLAMA_URL = "http://127.0.0.1:11434/v1"
PLAYGROUND_PORT = 8765

GATEWAY_AUTHENTICATION_FAILED = 4004  # the token was reset while the bot ran

EXIT_SETTINGS = 2  # something the operator has to change
EXIT_SECOND_SIGNAL = 130

_PORTAL = "https://discord.com/developers/applications"
INVALID_TOKEN = (
    "Discord refuses DISCORD_TOKEN: open "
    f"{_PORTAL}, choose your application, page Bot, press Reset Token and put the new token "
    "into .env."
)
MISSING_INTENT = (
    "The Message Content Intent is off: open "
    f"{_PORTAL}, choose your application, page Bot, switch on “Message Content Intent” under "
    "Privileged Gateway Intents, press Save Changes and start again."
)


class CommandTree(discord.app_commands.CommandTree["ChatBot"]):
    """Slash commands for the people whom the bot answers; /privacy is for everybody."""

    async def interaction_check(self, interaction: discord.Interaction[ChatBot], /) -> bool:
        command = interaction.command
        if command is not None and command.qualified_name.split()[0] == "privacy":
            return True
        access = interaction.client.access
        if access.allow(interaction.user, interaction.channel, interaction.guild):
            return True
        if interaction.type is discord.InteractionType.autocomplete:
            await interaction.response.autocomplete([])
        else:
            await interaction.response.send_message("You cannot use me here.", ephemeral=True)
        return False


class ChatBot(commands.Bot):
    """discord.py's bot with our cogs.

    Attributes:
        services: everything the cogs are built from; open before the bot, closed after it.
        config: the settings; only this file reads them.
        access: whom it answers and where; complete once the owners are known.
        data_dir: where state of the bot itself is kept.
    """

    services: Services
    config: Config
    data_dir: Path

    def __init__(
        self,
        *,
        config: Config,
        services: Services,
        data_dir: Path,
        auto_reply_channel_ids: frozenset[int],
        access: AccessRules,
        model_hosts: Sequence[str],
        speech_hosts: Sequence[str],
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(
            command_prefix=config.COMMAND_PREFIX,
            tree_cls=CommandTree,
            help_command=None,
            intents=_intents(),
            allowed_mentions=discord.AllowedMentions(
                everyone=False, users=False, roles=False, replied_user=True
            ),
            activity=discord.CustomActivity("Mention me, or try /help"),
            max_messages=None,
            member_cache_flags=_cached_members(),
            chunk_guilds_at_startup=False,
            connector=_connector(ssl_context),
            http_trace=_trace(services.pacer),
        )
        self.config = config
        self.services = services
        self.data_dir = data_dir
        self._auto_reply_channel_ids = auto_reply_channel_ids
        self.access = access
        self._model_hosts = model_hosts
        self._speech_hosts = speech_hosts
        self._ssl_context = ssl_context
        self._tasks = BackgroundTasks()

    async def setup_hook(self) -> None:
        config, services = self.config, self.services
        self.owner_ids = set(config.OWNER_IDS) or _application_owners(self.application)
        self.access = replace(self.access, owner_ids=frozenset(self.owner_ids))
        services.quotas.exempt_user_ids = frozenset(self.owner_ids)
        replies = Replies(
            responder=services.responder,
            quotas=services.quotas,
            pacer=services.pacer,
            metrics=services.metrics,
            voice=services.voice,
            settings=ReplySettings(
                streaming=config.RESPONSE_STREAMING_ENABLED,
                update_interval_s=config.STREAM_UPDATE_INTERVAL,
                min_typing_delay_s=config.MIN_TYPING_DELAY * config.NATURAL_TYPING_DELAY_ENABLED,
                max_typing_delay_s=config.MAX_TYPING_DELAY * config.NATURAL_TYPING_DELAY_ENABLED,
            ),
        )
        settings = ChatSettings(
            access=self.access,
            auto_reply_channel_ids=self._auto_reply_channel_ids,
            auto_thread_channel_ids=config.AUTO_THREAD_CHANNEL_IDS,
            batch_window_s=config.MESSAGE_BATCH_WINDOW_SECONDS,
            shutdown_grace_s=SHUTDOWN_GRACE_S,
        )
        await self.add_cog(Errors(self))
        chat = Chat(
            self,
            settings=settings,
            replies=replies,
            quotas=services.quotas,
            history=services.history,
            context=services.context,
            llm=services.llm,
            voice=services.voice,
        )
        await self.add_cog(chat)
        await self.add_cog(
            Voice(
                self,
                sessions=services.voice,
                settings=VoiceSettings(idle_leave_s=60 * config.VOICE_IDLE_LEAVE_MINUTES),
            )
        )
        await self.add_cog(Admin(self, llm=services.llm, counter=services.counter))
        await self.add_cog(ContextCommands(self, context=services.context))
        await self.add_cog(PersonaCommands(self, personas=services.personas))
        await self.add_cog(
            ProfileCommands(
                self, profiles=services.profiles, is_paused=services.personal_data.is_paused
            )
        )
        await self.add_cog(
            Privacy(
                self,
                personal_data=services.personal_data,
                model_hosts=self._model_hosts,
                speech_hosts=self._speech_hosts,
            )
        )
        await self.add_cog(
            Usage(self, usage=services.usage, quotas=services.quotas, prices=services.prices)
        )
        await self.add_cog(Help(self))
        self._tasks.start(self._sync_commands(), name="sync-commands")

    async def on_message(self, message: discord.Message, /) -> None:
        """Messages are the chat cog's; it also runs prefix commands."""

    async def on_connect(self) -> None:
        assert self.user is not None
        log.info("connected", extra={"bot": str(self.user)})
        gc.collect()
        gc.freeze()  # what start-up made stays; no collection walks it again

    async def on_ready(self) -> None:
        log.info("ready", extra={"servers": len(self.guilds)})
        if not self.guilds and self.application_id is not None:
            url = discord.utils.oauth_url(self.application_id, permissions=_permissions())
            log.info("not on any server yet; invite the bot", extra={"invite_url": url})

    async def renew_connector(self) -> None:
        await self.http.close()
        self.http.connector = _connector(self._ssl_context)

    async def close(self) -> None:
        await super().close()
        await self._tasks.aclose()

    async def _sync_commands(self) -> None:
        """Tell Discord about the slash commands, if they are not what it was told last."""
        described = [command.to_dict(self.tree) for command in self.tree.get_commands()]
        told = json.dumps([self.application_id, discord.http.Route.BASE, described], sort_keys=True)
        digest = hashlib.sha256(told.encode()).hexdigest().encode()
        path = self.data_dir / "commands.sha256"
        known = await asyncio.to_thread(lambda: path.read_bytes() if path.exists() else b"")
        if known == digest:
            return
        await self.tree.sync()
        await asyncio.to_thread(replace_file, path, digest)
        log.info("slash commands synchronised", extra={"commands": len(described)})


def _connector(ssl_context: ssl.SSLContext | None) -> aiohttp.TCPConnector:
    return aiohttp.TCPConnector(
        limit=0, keepalive_timeout=REST_KEEP_ALIVE_S, ssl=ssl_context or True
    )


def _intents() -> discord.Intents:
    intents = discord.Intents.none()
    intents.guilds = True
    intents.guild_messages = intents.dm_messages = True
    intents.guild_typing = intents.dm_typing = True
    intents.message_content = True
    intents.voice_states = True
    return intents


def _cached_members() -> discord.MemberCacheFlags:
    """People in voice channels alone, to tell them from bots and by their names."""
    flags = discord.MemberCacheFlags.none()
    flags.voice = True
    return flags


def _permissions() -> discord.Permissions:
    return discord.Permissions(
        view_channel=True,
        send_messages=True,
        send_messages_in_threads=True,
        create_public_threads=True,
        read_message_history=True,
        attach_files=True,
        embed_links=True,
        connect=True,
        speak=True,
    )


def _application_owners(application: discord.AppInfo | None) -> set[int]:
    if application is None:
        return set()
    if application.team is not None:
        return {member.id for member in application.team.members}
    return {application.owner.id}


def _trace(pacer: RestPacer) -> aiohttp.TraceConfig:
    """Let the pacer see every request to Discord and the limits in its response."""
    trace = aiohttp.TraceConfig()

    async def started(_: Any, __: Any, params: aiohttp.TraceRequestStartParams) -> None:
        pacer.request_started(params.method, params.url.path)

    async def ended(_: Any, __: Any, params: aiohttp.TraceRequestEndParams) -> None:
        pacer.response_received(params.method, params.url.path, params.response.headers)

    async def failed(_: Any, __: Any, params: aiohttp.TraceRequestExceptionParams) -> None:
        pacer.response_received(params.method, params.url.path, None)

    trace.on_request_start.append(started)
    trace.on_request_end.append(ended)
    trace.on_request_exception.append(failed)
    return trace


# ---------------------------------------------------------------------- the playground


@dataclass(slots=True)
class Playground:
    """The playground in a process of its own; it ends when its standard input closes."""

    process: asyncio.subprocess.Process
    page_url: str
    api_url: str
    gateway_url: str
    token: str
    model_base_url: str
    chat_channel_id: int
    certificate: str  # of its voice gateway, in PEM

    @classmethod
    async def start(cls, port: int) -> Self:
        """Raises:
        RuntimeError: it did not start; what it printed says why.
        """
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "playground", "--port", str(port)),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the bot's, which ends the playground last
        )
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            raise RuntimeError("the playground did not start")
        told = json.loads(line)
        return cls(
            process=process,
            page_url=told["page_url"],
            api_url=told["api_url"],
            gateway_url=told["gateway_url"],
            token=told["token"],
            model_base_url=told["model_base_url"],
            chat_channel_id=int(told["chat_channel_id"]),
            certificate=told["certificate"],
        )

    def client_context(self) -> ssl.SSLContext:
        """The usual trust, and the playground's own certificate."""
        context = ssl.create_default_context()
        context.load_verify_locations(cadata=self.certificate)
        return context

    async def say(self, notice: str) -> None:
        """Show a line above the page's messages."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"notice": notice}).encode() + b"\n")
        await self.process.stdin.drain()

    async def aclose(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), timeout=3.0)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()


async def _playground_endpoints(
    config: Config, playground: Playground
) -> tuple[list[ModelEndpoint], str]:
    """The model that the playground's bot talks to, and what to tell the person about it."""
    if config.OPENAI_API_KEY or config.OPENAI_BASE_URL:
        return _endpoints(config), ""
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError):
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.5)) as session,
            session.get(f"{OLLAMA_URL}/models") as response,
        ):
            if (await response.json())["data"]:
                name = config.LLM_MODEL or "the first model that it lists"
                return (
                    [ModelEndpoint(config.LLM_MODEL, OLLAMA_URL, "")],
                    f"Answers come from Ollama on this machine: {name}.",
                )
    notice = (
        "You are talking to a small demo model. For a real one, set OPENAI_API_KEY or "
        "OPENAI_BASE_URL in .env, or start Ollama, and run this again."
    )
    return [ModelEndpoint("", playground.model_base_url, "")], notice


# ---------------------------------------------------------------------- putting it together


def _access(config: Config) -> AccessRules:
    return AccessRules(
        allowed_guild_ids=config.ALLOWED_GUILD_IDS,
        allowed_channel_ids=config.ALLOWED_CHANNEL_IDS,
        allowed_role_ids=config.ALLOWED_ROLE_IDS,
        blocked_user_ids=config.BLOCKED_USER_IDS,
    )


def _endpoints(config: Config) -> list[ModelEndpoint]:
    model = config.LLM_MODEL
    if not model and not config.OPENAI_BASE_URL:
        model = "gpt-4.1-mini"
    primary = ModelEndpoint(model, config.OPENAI_BASE_URL, config.OPENAI_API_KEY)
    fallbacks = [
        ModelEndpoint(fallback.model, fallback.base_url, fallback.api_key)
        for fallback in config.LLM_FALLBACK_MODELS
    ]
    return [primary, *fallbacks]


def _shipped(config: Config, name: str) -> Path:
    """A file of the operator's in DATA_DIR, or the one that comes with the bot."""
    path = config.DATA_DIR / name
    return path if path.exists() else ROOT / "data" / name


def _model_hosts(endpoints: Sequence[ModelEndpoint]) -> list[str]:
    return [urlsplit(e.base_url or OPENAI_BASE_URL).hostname or "?" for e in endpoints]


def _speech_providers(config: Config) -> list[SpeechProvider]:
    """Who is asked to speak, in this order; eSpeak is always there in the end."""
    wanted = config.TTS_PROVIDER
    is_openai = not config.TTS_OPENAI_BASE_URL and not config.OPENAI_BASE_URL
    key = config.TTS_OPENAI_API_KEY or (config.OPENAI_API_KEY if is_openai else "")
    providers: list[SpeechProvider] = []
    if wanted == "kokoro" or (wanted == "auto" and not missing_packages(KOKORO_PACKAGES)):
        folder = config.KOKORO_MODEL_DIR
        providers.append(
            KokoroSpeech(
                device=cast(Literal["auto", "cuda", "mps", "cpu"], config.KOKORO_DEVICE),
                model_dir=Path(folder).expanduser() if folder else None,
            )
        )
    if wanted == "openai" or (wanted == "auto" and (key or config.TTS_OPENAI_BASE_URL)):
        providers.append(
            OpenAISpeech(
                api_key=key,
                base_url=config.TTS_OPENAI_BASE_URL,
                model=config.TTS_OPENAI_MODEL,
            )
        )
    return [*providers, EspeakSpeech()]


def _sentences_of(error: type[BotError]) -> set[str]:
    """What people are told of an error and of its kinds."""
    return {error.sentence}.union(*map(_sentences_of, error.__subclasses__()))


def _speech_hosts(speech: Speech) -> list[str]:
    """Servers that get the text of what is said aloud."""
    return [one.host for one in speech.opened if isinstance(one, OpenAISpeech)]


def build_services(
    config: Config, endpoints: Sequence[ModelEndpoint], data_dir: Path, history_dir: Path
) -> Services:

    def is_paused(user_id: int) -> bool:
        return services.personal_data.is_paused(user_id)

    metrics = Metrics()
    usage = UsageStore(data_dir / "usage")
    history = HistoryStore(
        history_dir,
        records_kept=max(40, 4 * config.MAX_HISTORY_MESSAGES),
        is_paused=is_paused,
    )
    llm = LLMClient(
        endpoints=endpoints,
        timeout_s=config.LLM_TIMEOUT_SECONDS,
        max_response_tokens=config.LLM_MAX_RESPONSE_TOKENS,
        temperature=config.LLM_TEMPERATURE,
        metrics=metrics,
        fast_model=config.LLM_FAST_MODEL,
        summary_model=config.LLM_SUMMARY_MODEL,
        on_written=usage.record_written,
    )
    counter = TokenCounter(endpoints[0].model)
    summarizer = ConversationSummarizer(
        data_dir / "summaries",
        history=history,
        llm=llm,
        count=counter.count,
        max_history_messages=config.MAX_HISTORY_MESSAGES,
        max_context_tokens=config.MAX_CONTEXT_TOKENS,
    )
    profiles = ProfileStore(data_dir / "profiles", across_servers=config.PROFILES_ACROSS_SERVERS)
    learner = ProfileLearner(profiles=profiles, llm=llm, enabled=config.PROFILE_LEARNING_ENABLED)
    personas = Personas(
        directory=_shipped(config, "personas"),
        choices_file=data_dir / "persona_choices.json",
        default=Persona("default", config.SYSTEM_PROMPT),
    )
    context = Context(
        history=history,
        summarizer=summarizer,
        profiles=profiles,
        personas=personas,
        query_optimizer=QueryOptimizer(
            count=counter.count,
            max_history_messages=config.MAX_HISTORY_MESSAGES,
            max_context_tokens=config.MAX_CONTEXT_TOKENS,
        ),
    )
    phrases = PhraseCache(
        data_dir / "phrases",
        max_bytes=config.TTS_CACHE_SIZE_MB * 1024 * 1024,
        enabled=config.TTS_CACHE_ENABLED,
    )
    speech = Speech(_speech_providers(config), cache=phrases)
    voice_choices = VoiceChoices(data_dir / "voices.json")
    services = Services(
        metrics=metrics,
        pacer=RestPacer(),
        counter=counter,
        history=history,
        llm=llm,
        summarizer=summarizer,
        profiles=profiles,
        learner=learner,
        personas=personas,
        usage=usage,
        quotas=Quotas(
            usage=usage,
            requests_per_minute=config.USER_REQUESTS_PER_MINUTE,
            user_daily_tokens=config.USER_DAILY_TOKEN_LIMIT,
            guild_daily_tokens=config.GUILD_DAILY_TOKEN_LIMIT,
        ),
        prices=PriceTable.load(_shipped(config, "prices.json")),
        context=context,
        responder=Responder(
            llm=llm,
            history=history,
            context=context,
            counter=counter,
            learner=learner,
            usage=usage,
            routes=bool(config.LLM_FAST_MODEL),
            is_paused=is_paused,
        ),
        phrases=phrases,
        speech=speech,
        voice_choices=voice_choices,
        voice=VoiceSessions(
            speech=speech,
            metrics=metrics,
            settings=SpeechSettings(
                streaming=config.STREAMING_TTS_ENABLED,
                min_chars=config.TTS_SENTENCE_MIN_LENGTH,
                max_chars=config.TTS_SENTENCE_MAX_LENGTH,
                voice=config.TTS_VOICE,
                speed=config.TTS_SPEED,
                language=config.TTS_LANGUAGE,
            ),
            choices=voice_choices,
            persona_voice=lambda channel_ids: personas.of(channel_ids).voice,
            sentences=sorted(_sentences_of(LLMError)),
        ),
        wishes_file=data_dir / "privacy.json",
    )
    return services


class StopSignal:
    """SIGINT and SIGTERM: the first asks to end, the second ends at once."""

    def __init__(self) -> None:
        self.requested = asyncio.Event()

    def install(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                loop.add_signal_handler(number, self._received)
            except NotImplementedError:  # Windows
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._received))

    def _received(self) -> None:
        if self.requested.is_set():
            os._exit(EXIT_SECOND_SIGNAL)
        log.info("ending: finishing visible answers; a second signal ends at once")
        self.requested.set()


async def _login(bot: ChatBot, token: str) -> None:
    """Log in, waiting for Discord or the network as long as it takes.

    Raises:
        discord.LoginFailure: the token is wrong.
    """
    wait_s = 2.0
    while True:
        try:
            await bot.login(token)
            return
        except discord.LoginFailure:
            raise
        except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning(
                "Discord cannot be reached", extra={"error": str(error), "retry_in_s": wait_s}
            )
            # Each login opens a session of its own.
            await bot.renew_connector()
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, LOGIN_RETRY_MAX_S)


async def _serve(bot: ChatBot, token: str, stop: asyncio.Event) -> int:
    """Run until asked to stop. Returns the exit status."""

    async def live() -> None:
        await _login(bot, token)
        await bot.connect()

    async with bot:
        living = asyncio.create_task(live(), name="bot")
        stopping = asyncio.create_task(stop.wait(), name="stop-signal")
        await asyncio.wait([living, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not living.done():
            await bot.close()
            living.cancel()  # it may still be waiting for Discord
        try:
            await living
        except discord.LoginFailure:
            print(INVALID_TOKEN, file=sys.stderr)
            return EXIT_SETTINGS
        except discord.PrivilegedIntentsRequired:
            print(MISSING_INTENT, file=sys.stderr)
            return EXIT_SETTINGS
        except discord.ConnectionClosed as closed:
            if closed.code == GATEWAY_AUTHENTICATION_FAILED:
                print(INVALID_TOKEN, file=sys.stderr)
                return EXIT_SETTINGS
            if not stop.is_set():
                raise
        except asyncio.CancelledError:
            if not stop.is_set():
                raise
    return 0


async def run(config: Config, *, playground_port: int | None, started_at: float) -> int:
    """The whole life of the process. Returns the exit status."""
    stop = StopSignal()
    stop.install()
    async with contextlib.AsyncExitStack() as opened:
        data_dir, history_dir = config.DATA_DIR, config.HISTORY_DIR
        token, api_url, gateway_url = (
            config.DISCORD_TOKEN,
            config.DISCORD_API_URL,
            config.DISCORD_GATEWAY_URL,
        )
        playground = None
        auto_reply_channel_ids = config.AUTO_REPLY_CHANNEL_IDS
        if playground_port is None:
            endpoints, access = _endpoints(config), _access(config)
        else:
            playground = await Playground.start(playground_port)
            opened.push_async_callback(playground.aclose)
            endpoints, notice = await _playground_endpoints(config, playground)
            await playground.say(notice)
            token, api_url, gateway_url = (
                playground.token,
                playground.api_url,
                playground.gateway_url,
            )
            # The operator's lists name places of the real Discord.
            access = AccessRules()
            auto_reply_channel_ids = frozenset({playground.chat_channel_id})
            # Its world is new with every start, and so is what is kept of it.
            data_dir = config.TEMP_DIR / "playground"
            history_dir = data_dir / "history"
            await asyncio.to_thread(shutil.rmtree, data_dir, ignore_errors=True)
        if api_url:
            discord.http.Route.BASE = api_url
        if gateway_url:
            discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway_url)

        await asyncio.to_thread(data_dir.mkdir, parents=True, exist_ok=True)
        services = await opened.enter_async_context(
            build_services(config, endpoints, data_dir, history_dir)
        )
        bot = ChatBot(
            config=config,
            services=services,
            data_dir=data_dir,
            auto_reply_channel_ids=auto_reply_channel_ids,
            access=access,
            model_hosts=_model_hosts(endpoints),
            speech_hosts=_speech_hosts(services.speech),
            ssl_context=playground.client_context() if playground is not None else None,
        )
        if playground is not None:
            page_url = playground.page_url

            @bot.listen("on_connect")
            async def show_address() -> None:
                took_s = time.monotonic() - started_at
                print(f"\n  Open {page_url} in your browser and talk to the bot.", flush=True)
                print("  Ctrl-C ends it.\n", flush=True)
                log.info("playground open", extra={"start_s": round(took_s, 2)})

        return await _serve(bot, token, stop.requested)


def main(argv: Sequence[str] | None = None) -> int:
    started_at = time.monotonic()
    parser = argparse.ArgumentParser(description="The Discord bot.")
    parser.add_argument(
        "--playground", action="store_true", help="talk to the bot in the browser, without Discord"
    )
    parser.add_argument("--port", type=int, default=PLAYGROUND_PORT, help="of the playground")
    arguments = parser.parse_args(argv)
    if not 0 <= arguments.port <= 65535:
        parser.error("--port is a number from 0 (any free one) to 65535")

    config = Config.of_process()
    problems = config.problems(require_discord=not arguments.playground)
    if problems:
        print("The settings need a change before the bot can start:", file=sys.stderr)
        for problem in problems:
            print(f"  - {problem}", file=sys.stderr)
        return EXIT_SETTINGS
    style: Literal["text", "json"] = "json" if config.LOG_FORMAT == "json" else "text"
    stop_logging = setup_logging(config.LOG_LEVEL, style, config.secrets())
    for warning in config.warnings():
        log.warning(warning)
    try:
        return asyncio.run(
            run(
                config,
                playground_port=arguments.port if arguments.playground else None,
                started_at=started_at,
            )
        )
    finally:
        stop_logging()


if __name__ == "__main__":
    sys.exit(main())
