"""The player: one thread that sends what all sessions have to say, a packet each every 20 ms.

It only moves packets: they are encoded before they come here. A session that has been silent
begins at once and keeps its own rhythm from there. A frame that is late is sent right away; the
next ones catch up, unless they are far behind.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from services.voice.audio import FRAME_S
from services.voice.playout import PlayoutBuffer

log = logging.getLogger(__name__)

_LATE_S = 0.02  # after its time; the frame counts as late
_FAR_BEHIND_S = 0.06  # the rhythm starts anew


class Line(Protocol):
    """Where packets leave: a voice client."""

    @property
    def can_speak(self) -> bool: ...

    def send_audio_packet(self, data: bytes, *, encode: bool = ...) -> None: ...


class Outlet:
    """A session's way to its voice channel.

    Args:
        announce: called on the event loop with whether the bot speaks.

    Attributes:
        line: the voice client; None while there is none.
        sent_frames, late_frames, worst_late_s: since it was made.
    """

    def __init__(self, buffer: PlayoutBuffer, *, announce: Callable[[bool], None]) -> None:
        self.buffer = buffer
        self.line: Line | None = None
        self.sent_frames = 0
        self.late_frames = 0
        self.worst_late_s = 0.0
        self._announce = announce
        self._is_speaking = False
        self._is_woken = False
        self._due_s: float | None = None  # perf_counter() of the next frame; None: silent
        self._loop = asyncio.get_running_loop()

    def _tick(self, now_s: float) -> float | None:
        """Send the frame that is due, if so. When the next one is, None while silent."""
        if self._due_s is None:
            if not self._is_woken:
                return None
            self._due_s = now_s
        if now_s < self._due_s:
            return self._due_s
        self._is_woken = False
        line = self.line
        if line is None or not line.can_speak:
            # Not connected, or not everybody has the keys yet: nothing is said, nothing is lost.
            self._is_speaking = False
            self._due_s = now_s + FRAME_S
            return self._due_s
        packet = self.buffer.read()
        if packet is None:
            if self._is_woken:  # something came just now
                return self._due_s
            self._due_s = None
            self._speaks(False)
            return None
        self._speaks(True)
        self._send(line, packet)
        late_s = time.perf_counter() - self._due_s
        self.sent_frames += 1
        if late_s > _LATE_S:
            self.late_frames += 1
        self.worst_late_s = max(self.worst_late_s, late_s)
        self._due_s = (now_s if late_s > _FAR_BEHIND_S else self._due_s) + FRAME_S
        return self._due_s

    def _send(self, line: Line, packet: bytes) -> None:
        try:
            line.send_audio_packet(packet, encode=False)
        except Exception:
            log.exception("voice packet could not be sent")

    def _speaks(self, is_speaking: bool) -> None:
        if is_speaking is self._is_speaking:
            return
        self._is_speaking = is_speaking
        try:
            self._loop.call_soon_threadsafe(self._announce, is_speaking)
        except RuntimeError:
            pass  # the loop is closed: the process ends


class Player:
    """Runs while there are outlets."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outlets: tuple[Outlet, ...] = ()
        self._something = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, outlet: Outlet) -> None:
        with self._lock:
            self._outlets = (*self._outlets, outlet)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="voice-player", daemon=True)
                self._thread.start()

    def remove(self, outlet: Outlet) -> None:
        with self._lock:
            self._outlets = tuple(one for one in self._outlets if one is not outlet)
        self._something.set()

    def wake(self, outlet: Outlet) -> None:
        """There may be something new to send."""
        outlet._is_woken = True
        self._something.set()

    def _run(self) -> None:
        while True:
            self._something.clear()  # before the look: what comes from now on is not missed
            with self._lock:
                outlets = self._outlets
                if not outlets:
                    self._thread = None
                    return
            next_s: float | None = None
            for outlet in outlets:
                due_s = outlet._tick(time.perf_counter())
                if due_s is not None and (next_s is None or due_s < next_s):
                    next_s = due_s
            if next_s is None:
                self._something.wait()
            elif (wait_s := next_s - time.perf_counter()) > 0:
                # Not the event: where its clock is coarse, sleep's is not. What begins meanwhile
                # waits for one frame of the others at most.
                time.sleep(wait_s)
