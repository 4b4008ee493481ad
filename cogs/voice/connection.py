"""The connection to a voice channel: discord.py's, with what it leaves undone.

- Its reader can sit in `select()` on a socket that was replaced, and misses the answer to the IP
  discovery on the new one: ours is woken up.
- It waits for ever for the end of a RESUME, since no session description follows one: ours knows
  that the keys stay.
- It reconnects on its own terms, seconds late, and ends in silence on an unexpected error. Ours
  resumes or follows a move; on anything else it ends and says so, and a new one is made.
- It would send in plain text what comes before the encrypted group is ready: `can_speak` says
  when not.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import selectors
import socket
from collections.abc import Callable
from typing import Any

import discord
from discord.gateway import DiscordVoiceWebSocket
from discord.voice_state import ConnectionFlowState, SocketReader, VoiceConnectionState

log = logging.getLogger(__name__)

_RESUME_TIMEOUT_S = 1.5
_MOVE_TIMEOUT_S = 5.0
_MOST_PACKET_BYTES = 2048
_LOOK_AGAIN_S = 0.2  # when there is no socket to listen on

_DISCONNECTED, _CALL_TERMINATED = 4014, 4022
_NETWORK_LOST = (-1, 1001, 1006)
_SERVER_CRASHED = 4015


class VoiceClient(discord.VoiceClient):
    """The bot in one voice channel.

    Args:
        on_end: told once, when the connection is over for good; by then `was_thrown_out` says
            whether somebody on the server wanted it so.
    """

    def __init__(
        self,
        client: discord.Client,
        channel: discord.abc.Connectable,
        *,
        on_end: Callable[[VoiceClient], None],
    ) -> None:
        super().__init__(client, channel)
        self._on_end: Callable[[VoiceClient], None] | None = on_end

    def create_connection_state(self) -> VoiceConnectionState:
        return _Connection(self)

    def cleanup(self) -> None:
        super().cleanup()
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(self)

    @property
    def was_thrown_out(self) -> bool:
        assert isinstance(self._connection, _Connection)
        return self._connection.was_thrown_out

    @property
    def is_encrypted(self) -> bool:
        """Whether what is said is encrypted from end to end."""
        return self._connection.can_encrypt

    @property
    def can_speak(self) -> bool:
        """Whether a packet sent now would be heard, and by nobody whom it is not for."""
        assert isinstance(self._connection, _Connection)
        return self._connection.can_speak


class _Connection(VoiceConnectionState):
    def __init__(self, voice_client: discord.VoiceClient) -> None:
        super().__init__(voice_client, hook=self._saw)
        self.was_thrown_out = False
        self._is_ending = False
        self._is_resumed = False
        self._is_in_group = False  # of those who share the keys, and they know it
        self._socket_reader.stop()
        self._reader = self._socket_reader = _Reader(self)
        self._reader.start()

    @property
    def can_speak(self) -> bool:
        if self.state is not ConnectionFlowState.connected:
            return False
        if self.dave_protocol_version == 0:
            return True
        # As a newcomer the bot has the keys a moment before the others expect them to be used.
        if self.can_encrypt and not self.dave_pending_transitions:
            self._is_in_group = True
        return self.can_encrypt and self._is_in_group

    async def reinit_dave_session(self) -> None:
        self._is_in_group = False
        self.dave_pending_transitions.clear()
        await super().reinit_dave_session()

    async def _saw(self, ws: DiscordVoiceWebSocket, message: dict[str, Any]) -> None:
        if message["op"] == DiscordVoiceWebSocket.RESUMED:
            self._is_resumed = True

    def _create_socket(self) -> None:
        super()._create_socket()
        self._reader.wake()

    async def voice_state_update(self, data: Any) -> None:
        if data["channel_id"] is None and not self._expecting_disconnect:
            self.was_thrown_out = True
        await super().voice_state_update(data)

    async def _voice_disconnect(self) -> None:
        self._is_ending = True
        await super()._voice_disconnect()

    async def _wrap_connect(self, *args: Any) -> None:
        """As discord.py's, which logs what fails; here whoever asked for it does."""
        try:
            await self._connect(*args)
        except asyncio.CancelledError:
            await self.soft_disconnect()
            raise
        except Exception:
            await self.disconnect()
            raise

    async def _poll_voice_ws(self, reconnect: bool) -> None:
        while True:
            try:
                await self.ws.poll_event()
            except asyncio.CancelledError:
                return
            except Exception as error:
                if not await self._goes_on(error):
                    return

    async def _goes_on(self, error: Exception) -> bool:
        """After the websocket failed or was closed: whether there is another one now."""
        if self._is_ending:
            return False  # a second farewell would let the first one wait for an answer in vain
        code = error.code if isinstance(error, discord.ConnectionClosed) else None
        if not isinstance(error, (discord.ConnectionClosed, TimeoutError, OSError)):
            log.error("voice connection failed unexpectedly", exc_info=error)
        try:
            if code in (_DISCONNECTED, _CALL_TERMINATED):
                if await self._follow_move():
                    return True
            elif code in (*_NETWORK_LOST, _SERVER_CRASHED):
                await self._resume()
                log.info("voice connection resumed", extra={"code": code})
                return True
        except Exception as failure:
            log.info(
                "voice connection could not go on",
                extra={"code": code, "error": type(failure).__name__},
            )
        if not self._is_ending:
            await self.disconnect()
        return False

    async def _follow_move(self) -> bool:
        if self._disconnected.is_set():
            return False
        timeout_s, self.timeout = self.timeout, _MOVE_TIMEOUT_S
        try:
            return await self._potential_reconnect()
        finally:
            self.timeout = timeout_s

    async def _resume(self) -> None:
        """Raises:
        Exception: whatever stands in the way; a new session is needed then.
        """
        lost = self.ws
        self.state = ConnectionFlowState.websocket_connected  # nothing is sent meanwhile
        self._is_resumed = False
        with contextlib.suppress(Exception):
            await lost.close()
        async with asyncio.timeout(_RESUME_TIMEOUT_S):
            self.ws = await self._connect_websocket(True)
            self.ws.secret_key = self.secret_key
            while not self._is_resumed:
                await self.ws.poll_event()
        self.state = ConnectionFlowState.connected


class _Reader(SocketReader):
    """discord.py's, but it notices at once when its socket is another one or its work is over.

    Nor does it read what came before somebody listened: the answer to the IP discovery is faster
    than the listener that discord.py registers after it has asked.
    """

    def __init__(self, state: VoiceConnectionState) -> None:
        super().__init__(state)
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)

    def wake(self) -> None:
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def pause(self) -> None:
        super().pause()
        self.wake()

    def stop(self) -> None:
        super().stop()
        self.wake()

    def run(self) -> None:
        try:
            super().run()
        finally:
            self._waker.close()
            self._woken.close()

    def _do_run(self) -> None:
        while not self._end.is_set():
            if not self._running.is_set():
                self._running.wait()
                continue
            listened_to = self.state.socket
            if not self._is_readable(listened_to):
                continue
            if not self._running.is_set():
                continue  # nobody listens yet; whoever will, finds it there
            try:
                data = listened_to.recv(_MOST_PACKET_BYTES)
            except OSError:
                continue
            for callback in list(self._callbacks):
                try:
                    callback(data)
                except Exception:
                    log.exception("voice packet could not be taken")

    def _is_readable(self, listened_to: Any) -> bool:
        """Wait for a packet; False when woken, or when the socket is gone."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            timeout_s = None
            try:
                selector.register(listened_to, selectors.EVENT_READ)
            except (ValueError, KeyError, TypeError, AttributeError):  # closed, or not there yet
                timeout_s = _LOOK_AGAIN_S
            ready = {key.fileobj for key, _ in selector.select(timeout_s)}
        if self._woken in ready:
            with contextlib.suppress(OSError):
                self._woken.recv(4096)
            return False
        return listened_to in ready
