"""The playground: a Discord of its own on the loopback, put together and served.

    async with Playground(token="...") as pg:
        ...            # point a bot at pg.api_url and pg.gateway_url
        await pg.bot_online()
        alice = pg.human("Alice")
        question = await alice.send("chat", "hello")
        answer = await pg.next_bot_message("chat", after=question)

It listens on 127.0.0.1 alone and turns away every other Host and every foreign Origin.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from aiohttp import hdrs, web

from .commands import CommandStore
from .faults import Faults
from .gateway import Gateway
from .human import Human
from .interactions import Interactions
from .limits import Limits, RateLimiter
from .page import Page
from .rest import RequestRecord, Rest
from .seed import BOT_ID
from .voice import Voice
from .wire import Payload
from .world import Channel, Event, World

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
_MAX_JSON_BYTES = 1024 * 1024


class Playground:
    """One playground; `async with` serves it.

    Args:
        host: only 127.0.0.1; the playground knows no passwords.
        port: 0 takes a free one, and so does one that is in use.
        token: what the bot logs in with.
        notice: a line that the page shows on top.
        model_app: an OpenAI-compatible application with its routes under /v1, mounted at /model.
        extra_servers: how many servers (guilds) there are besides the first; `seed` tells what
            they hold.
    """

    def __init__(
        self,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        token: str = "playground-token",
        limits: Limits | None = None,
        notice: str | None = None,
        model_app: web.Application | None = None,
        bot_name: str = "Sparrow",
        extra_servers: int = 0,
    ) -> None:
        if host != LOOPBACK:
            raise ValueError(f"the playground listens on {LOOPBACK} only, not on {host!r}")
        self.token = token
        self.limits = limits or Limits()
        self.world = World(bot_name=bot_name, extra_servers=extra_servers)
        self.commands = CommandStore(self.world)
        self.gateway = Gateway(self.world, token=token)
        self.voice = Voice(self.world, host=host)
        self.gateway.on_voice_state = self.voice.take_voice_state
        self.gateway.on_session_end = self.voice.end_session
        self.faults = Faults(self.world, self.gateway, self.voice)
        self.interactions = Interactions(
            self.world, self.commands, bot_is_reachable=lambda: self.gateway.is_reachable
        )
        self.page = Page(world=self.world, commands=self.commands, human=self.human, notice=notice)
        self._rest = Rest(
            world=self.world,
            commands=self.commands,
            interactions=self.interactions,
            gateway=self.gateway,
            limiter=RateLimiter(self.limits),
            faults=self.faults,
            token=token,
        )
        self._wanted_port = port
        self._model_app = model_app
        self._runner: web.AppRunner | None = None
        self._base_url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[_own_host_only], client_max_size=_MAX_JSON_BYTES)
        self._rest.add_routes(app.router, "/api/v10")
        app.router.add_get("/gateway", self.gateway.handle)
        app.router.add_get("/gateway/", self.gateway.handle)
        self.page.add_routes(app.router)
        if self._model_app is not None:
            app.add_subapp("/model", self._model_app)
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=1.0, keepalive_timeout=300
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, LOOPBACK, self._wanted_port).start()
        except OSError:
            log.warning("port in use, taking a free one", extra={"port": self._wanted_port})
            await web.TCPSite(self._runner, LOOPBACK, 0).start()
        port = self._runner.addresses[0][1]
        self._base_url = f"http://{LOOPBACK}:{port}"
        self.gateway.url = f"ws://{LOOPBACK}:{port}/gateway"
        self.world.attachments.base_url = self._base_url
        await self.voice.start([_own_host_only])
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.gather(self.gateway.aclose(), self.page.aclose())
        await self.voice.aclose()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def page_url(self) -> str:
        return f"{self._base_url}/"

    @property
    def api_url(self) -> str:
        return f"{self._base_url}/api/v10"

    @property
    def gateway_url(self) -> str:
        return self.gateway.url

    def client_context(self) -> ssl.SSLContext:
        """The TLS context that a voice client needs: the voice gateway's address is wss."""
        return self.voice.client_context()

    @property
    def model_base_url(self) -> str | None:
        return f"{self._base_url}/model/v1" if self._model_app is not None else None

    @property
    def bot_mention(self) -> str:
        return f"<@{BOT_ID}>"

    @property
    def requests(self) -> deque[RequestRecord]:
        """The bot's latest REST requests, oldest first."""
        return self._rest.records

    @property
    def invalid_requests(self) -> int:
        """How many requests met 401, 403 or 429, which Discord counts towards a ban."""
        return self._rest.invalid_requests

    def human(self, name_or_id: str) -> Human:
        user = self.world.user(name_or_id)
        return Human(user, world=self.world, interactions=self.interactions, voice=self.voice)

    def mention(self, name_or_id: str) -> str:
        return f"<@{self.world.user(name_or_id)['id']}>"

    async def bot_online(self, timeout: float = 30.0) -> None:
        """Return once the bot is connected and identified."""
        async with asyncio.timeout(timeout):
            await self.gateway.online.wait()

    async def bot_offline(self, timeout: float = 30.0) -> None:
        async with asyncio.timeout(timeout):
            await self.gateway.offline.wait()

    @contextmanager
    def watch(self) -> Iterator[AsyncIterator[Event]]:
        """Every event from now on, in order, kept until read."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        unsubscribe = self.world.subscribe(queue.put_nowait)

        async def events() -> AsyncIterator[Event]:
            while True:
                yield await queue.get()

        try:
            yield events()
        finally:
            unsubscribe()

    async def wait_for(
        self,
        predicate: Callable[[Event], bool],
        *,
        since: float | None = None,
        timeout: float = 10.0,
    ) -> Event:
        """The first event that satisfies `predicate`.

        Args:
            since: a time.monotonic(); the latest 2,000 events are searched from there.
                None looks at what is still to come only.
        """
        with self.watch() as events:
            if since is not None:
                for event in self.world.recent_events:
                    if event.at >= since and predicate(event):
                        return event
            async with asyncio.timeout(timeout):
                async for event in events:
                    if predicate(event):
                        return event
        raise AssertionError("unreachable: events never end")

    async def next_bot_message(
        self,
        place: Channel | str,
        *,
        after: Payload | None = None,
        matching: Callable[[Payload], bool] = lambda message: True,
        timeout: float = 10.0,
    ) -> Payload:
        """The first state of a message of the bot, there already or to come.

        Args:
            after: only messages newer than this one.
            matching: what the message must have become, such as its finished text.
        """
        channel = place if isinstance(place, Channel) else self.world.channel(place)
        newer_than = int(after["id"]) if after is not None else 0

        def is_wanted(message: Payload) -> bool:
            return (
                message["channel_id"] == channel.id
                and message["author"]["id"] == BOT_ID
                and int(message["id"]) > newer_than
                and matching(message)
            )

        for message in list(channel.messages.values()):
            if is_wanted(message):
                return self.world.render(message)
        found = await self.wait_for(
            lambda event: (
                event.name in ("MESSAGE_CREATE", "MESSAGE_UPDATE") and is_wanted(event.data)
            ),
            timeout=timeout,
        )
        return found.data

    def set_notice(self, notice: str | None) -> None:
        self.page.set_notice(notice)


@web.middleware
async def _own_host_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn away foreign names for this address (DNS rebinding) and other sites' pages."""
    transport = request.transport
    port = transport.get_extra_info("sockname")[1] if transport is not None else 0
    own = (f"{LOOPBACK}:{port}", f"localhost:{port}")
    origin = request.headers.get(hdrs.ORIGIN)
    if request.headers.get(hdrs.HOST, "").lower() not in own:
        log.warning("request refused: foreign Host")
        raise web.HTTPForbidden(text="This address is not the playground's own.")
    if origin is not None and origin.lower() not in {f"http://{host}" for host in own}:
        log.warning("request refused: foreign Origin")
        raise web.HTTPForbidden(text="Another site may not use the playground.")
    response = await handler(request)
    if not response.prepared:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        if request.path.startswith("/static/"):
            response.headers[hdrs.CACHE_CONTROL] = "no-cache"
    return response
