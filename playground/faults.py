"""Faults on demand: answers that fail or dawdle, and gateway connections that break."""

from __future__ import annotations

from dataclasses import dataclass

from .gateway import Gateway
from .voice import Voice
from .wire import Payload
from .world import Channel, World


@dataclass(slots=True)
class RestFault:
    """What happens to the next matching requests.

    Attributes:
        route: part of the route, such as "messages" or "/channels/{channel_id}/typing".
        status: the failing answer; None lets the request through after the delay.
        retry_after_s: of a 429.
        takes_effect: the request is carried out and only its answer fails.
        is_cut: the connection breaks instead of an answer.
    """

    remaining: int
    method: str | None = None
    route: str | None = None
    channel_id: str | None = None
    status: int | None = None
    code: int = 0
    retry_after_s: float | None = None
    scope: str = "user"
    delay_s: float = 0.0
    takes_effect: bool = False
    is_cut: bool = False

    @property
    def fails(self) -> bool:
        return self.is_cut or self.status is not None

    def matches(self, method: str, route: str, channel_id: str | None) -> bool:
        return (
            (self.method is None or self.method == method)
            and (self.route is None or self.route in route)
            and (self.channel_id is None or self.channel_id == channel_id)
        )

    def payload(self) -> Payload:
        if self.status == 429:
            return {
                "message": "You are being rate limited.",
                "retry_after": self.retry_after_s or 0.0,
                "global": self.scope == "global",
            }
        words = {403: "Missing Permissions", 404: "404: Not Found", 401: "401: Unauthorized"}
        return {"message": words.get(self.status or 0, "Internal Server Error"), "code": self.code}


class Faults:
    """The faults in force."""

    def __init__(self, world: World, gateway: Gateway, voice: Voice) -> None:
        self._world = world
        self._gateway = gateway
        self._voice = voice
        self._rest: list[RestFault] = []

    @property
    def refuse_intents(self) -> bool:
        """IDENTIFY with a privileged intent is closed with 4014."""
        return not self._world.allows_privileged_intents

    @refuse_intents.setter
    def refuse_intents(self, refuse: bool) -> None:
        self._world.allows_privileged_intents = not refuse

    @property
    def gateway_down(self) -> bool:
        """New gateway connections are answered with 503."""
        return self._gateway.is_down

    @gateway_down.setter
    def gateway_down(self, down: bool) -> None:
        self._gateway.is_down = down

    def fail_next(
        self,
        count: int = 1,
        *,
        status: int,
        method: str | None = None,
        route: str | None = None,
        channel_id: str | None = None,
        code: int | None = None,
        retry_after: float | None = None,
        scope: str = "user",
        takes_effect: bool = False,
    ) -> None:
        """Answer the next `count` matching requests with `status`."""
        self._rest.append(
            RestFault(
                remaining=count,
                method=method,
                route=route,
                channel_id=channel_id,
                status=status,
                code=code if code is not None else {403: 50013}.get(status, 0),
                retry_after_s=retry_after,
                scope=scope,
                takes_effect=takes_effect,
            )
        )

    def cut_next(
        self,
        count: int = 1,
        *,
        method: str | None = None,
        route: str | None = None,
        channel_id: str | None = None,
        takes_effect: bool = False,
    ) -> None:
        """Break the connection of the next matching requests instead of answering."""
        self._rest.append(
            RestFault(
                remaining=count,
                method=method,
                route=route,
                channel_id=channel_id,
                takes_effect=takes_effect,
                is_cut=True,
            )
        )

    def delay_next(
        self,
        delay_s: float,
        count: int = 1,
        *,
        method: str | None = None,
        route: str | None = None,
        channel_id: str | None = None,
    ) -> None:
        """Let the next `count` matching requests wait before they are carried out."""
        self._rest.append(
            RestFault(
                remaining=count,
                method=method,
                route=route,
                channel_id=channel_id,
                delay_s=delay_s,
            )
        )

    def clear(self) -> None:
        """Back to a Discord that works."""
        self._rest.clear()
        self._voice.packet_faults.clear()
        self.refuse_intents = self.gateway_down = False

    async def drop_gateway(self, code: int | None = 4000) -> None:
        """Close the bot's gateway connections; None cuts them without a close frame.

        The sessions stay: what happens from now on is replayed to a RESUME.
        """
        await self._gateway.drop(code)

    async def invalidate_session(self, *, resumable: bool = False) -> None:
        """Send INVALID_SESSION; unless resumable, later RESUMEs of it are refused."""
        self._gateway.invalidate(resumable)

    async def request_reconnect(self) -> None:
        """Send RECONNECT (op 7): the client closes and resumes."""
        self._gateway.request_reconnect()

    async def close_voice(self, code: int, *, channel: Channel | None = None) -> None:
        """Close the bot's voice websocket with `code`.

        After 4015 its session can be resumed, after any other it is gone. 0 cuts the
        connection without a close frame.

        Args:
            channel: where the bot is; None takes the call that lasts longest.
        """
        await self._voice.close_bot(code, channel)

    def silence_voice(self, *, channel: Channel | None = None) -> None:
        """Drop the bot's voice session without telling: its websocket stays open, unanswered.

        Args:
            channel: as for `close_voice`.
        """
        self._voice.silence_bot(channel)

    async def move_bot(self, channel: Channel) -> None:
        """Drag the bot out of the voice channel where it is in that guild, into this one."""
        await self._voice.move_bot(channel)

    async def disconnect_bot(self, *, channel: Channel | None = None) -> None:
        """Throw the bot out of its voice channel.

        Args:
            channel: as for `close_voice`.
        """
        await self._voice.disconnect_bot(channel)

    def drop_voice_packets(self, count: int, *, speaker_id: str | None = None) -> None:
        """Lose the next `count` packets of a speaker, or of anybody."""
        self._voice.packet_faults.add(count, speaker_id=speaker_id, delay_s=None)

    def delay_voice_packets(
        self, delay_s: float, count: int, *, speaker_id: str | None = None
    ) -> None:
        """Let the next `count` packets of a speaker, or of anybody, come later, overtaken."""
        self._voice.packet_faults.add(count, speaker_id=speaker_id, delay_s=delay_s)

    def take(self, method: str, route: str, channel_id: str | None) -> RestFault | None:
        """The fault that this request meets, if any; it is then used up by one."""
        for fault in self._rest:
            if fault.matches(method, route, channel_id):
                fault.remaining -= 1
                if fault.remaining <= 0:
                    self._rest.remove(fault)
                return fault
        return None
