"""Playout: packets wait here until their 20 ms come, in the order in which they are to be heard.

    pipeline ──write──> PlayoutBuffer ──read──> player, one packet every 20 ms
    (event loop)                                (a thread of its own)

What is said is a `Playout`; its chunks are `Piece`s, each with the pause that follows it. Time is
counted in packets, never read from a clock. While the sound of something that has begun is late,
silence is sent in its place; nothing is skipped.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from services.voice.audio import FRAME_S

SILENCE = b"\xf8\xff\xfe"  # the Opus frame that Discord takes for silence
_SILENCE_AFTER_FRAMES = 5  # ends a stretch of speech, so that no decoder goes on guessing
_STARVED_FRAMES = 100  # of silence while something is late; then nothing is sent


class Playout:
    """One thing that is said: an answer, a clip. Made by `PlayoutBuffer.begin`.

    Args:
        on_begun: its first packet leaves.
        on_ended: nothing of it is left, because all was heard or the rest was dropped.
    """

    def __init__(
        self,
        *,
        on_begun: Callable[[], None] = lambda: None,
        on_ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.is_released = False  # may be heard
        self.has_begun = False
        self.is_complete = False  # no further pieces will come
        self.has_ended = False
        self.heard_frames = 0
        self.underruns_within = 0  # times that a piece ran dry in its middle
        self.underruns_between = 0  # times that the next piece came after its pause
        self.pieces: deque[Piece] = deque()  # not heard to their end yet
        self.on_begun = on_begun
        self.on_ended = on_ended


class Piece:
    """A chunk's packets, and the silence after them when something follows."""

    def __init__(self, playout: Playout) -> None:
        self.playout = playout
        self.packets: deque[bytes] = deque()
        self.is_whole = False
        self.has_begun = False
        self.pause_frames = 0


class PlayoutBuffer:
    """What one session has to say. Written on the event loop, read by the player's thread.

    Args:
        notify: brings a call from the player's thread to the event loop.
    """

    def __init__(self, *, notify: Callable[[Callable[[], None]], object]) -> None:
        self._notify = notify
        self._lock = threading.Lock()
        self._playouts: deque[Playout] = deque()
        self._is_paused = False
        self._silence_due = 0
        self._is_after_speech = False
        self._starved_frames = 0

    # ------------------------------------------------------------------ written by the pipeline

    def begin(self, playout: Playout) -> None:
        """It is heard after all that was begun before it."""
        with self._lock:
            self._playouts.append(playout)

    def release(self, playout: Playout) -> None:
        """From now on it may be heard."""
        with self._lock:
            playout.is_released = True

    def piece(self, playout: Playout) -> Piece:
        piece = Piece(playout)
        with self._lock:
            if not playout.has_ended:
                playout.pieces.append(piece)
        return piece

    def write(self, piece: Piece, packet: bytes) -> None:
        with self._lock:
            if not piece.playout.has_ended:
                piece.packets.append(packet)

    def finish(self, piece: Piece, *, pause_s: float) -> None:
        """All of the piece is written."""
        with self._lock:
            piece.pause_frames = round(pause_s / FRAME_S)
            piece.is_whole = True

    def take_back(self, piece: Piece) -> bool:
        """Drop the piece's packets if none of them was heard."""
        with self._lock:
            if piece.has_begun:
                return False
            piece.packets.clear()
            return True

    def complete(self, playout: Playout) -> None:
        """Its last piece is written, or will never be."""
        with self._lock:
            playout.is_complete = True
            for piece in playout.pieces:
                piece.is_whole = True
            if not any(piece.packets for piece in playout.pieces):
                self._end(playout)

    def drop(self, playout: Playout) -> None:
        """Say no more of it; the next packet is silence."""
        with self._lock:
            playout.pieces.clear()
            self._end(playout)

    # ------------------------------------------------------------------ read by the player

    def read(self) -> bytes | None:
        """The packet for the next 20 ms; None when there is nothing to send."""
        with self._lock:
            packet = None if self._is_paused else self._next_packet()
            if packet is None and self._silence_due:
                packet = SILENCE
                self._silence_due -= 1
            elif packet is not None:
                self._silence_due = _SILENCE_AFTER_FRAMES
            self._is_after_speech = packet is not None and packet is not SILENCE
            return packet

    def _next_packet(self) -> bytes | None:
        while self._playouts:
            playout = self._playouts[0]
            if not playout.is_released:
                return None
            packet = self._next_of(playout)
            if packet is not None or not playout.has_ended:
                return packet
        return None

    def _next_of(self, playout: Playout) -> bytes | None:
        while playout.pieces:
            piece = playout.pieces[0]
            if piece.packets:
                return self._heard(piece)
            is_last = playout.is_complete and len(playout.pieces) == 1
            if piece.is_whole and piece.has_begun and piece.pause_frames and not is_last:
                piece.pause_frames -= 1
                return SILENCE
            if not piece.is_whole:
                return self._late(playout, piece)
            playout.pieces.popleft()
        if playout.is_complete:
            self._end(playout)
            return None
        return self._late(playout, None)

    def _heard(self, piece: Piece) -> bytes:
        playout = piece.playout
        if not piece.has_begun and self._is_after_speech:
            # Each piece has an encoder of its own. Right after another's packets its first
            # sounds would be predicted from theirs, and come out far too quiet.
            self._is_after_speech = False
            return SILENCE
        self._starved_frames = 0
        playout.heard_frames += 1
        piece.has_begun = True
        if not playout.has_begun:
            playout.has_begun = True
            self._notify(playout.on_begun)
        return piece.packets.popleft()

    def _late(self, playout: Playout, piece: Piece | None) -> bytes | None:
        """Nothing is there for this frame."""
        if not playout.has_begun:
            return None
        if not self._starved_frames:
            if piece is not None and piece.has_begun:
                playout.underruns_within += 1
            else:
                playout.underruns_between += 1
        self._starved_frames += 1
        return SILENCE if self._starved_frames <= _STARVED_FRAMES else None

    def _end(self, playout: Playout) -> None:
        if playout.has_ended:
            return
        playout.has_ended = True
        self._starved_frames = 0
        if playout in self._playouts:
            self._playouts.remove(playout)
        self._notify(playout.on_ended)

    # ------------------------------------------------------------------ asked by both

    @property
    def buffered_s(self) -> float:
        """Sound that is written and not heard yet, the pauses within it included."""
        with self._lock:
            return FRAME_S * sum(
                len(piece.packets) + piece.pause_frames
                for playout in self._playouts
                for piece in playout.pieces
            )

    def pause(self) -> None:
        """Silence from the next packet on, until `resume`; nothing is lost."""
        with self._lock:
            self._is_paused = True

    def resume(self) -> None:
        with self._lock:
            self._is_paused = False
