"""A person's end of a call: their encryption, what they hear, and what they say.

The person sits in the playground's own process and holds the group's keys as any client
does. They take up a new epoch only once everybody has it, or once a frame arrives that
proves its speaker has, so a change of keys in mid-sentence costs no frame in either direction.
"""

from __future__ import annotations

import asyncio
import logging
import random
import struct
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import davey

from .dave import PROTOCOL_VERSION
from .ops import VoiceOp
from .room import Participant, Room
from .rtp import FRAME_S, FRAME_SAMPLES, SILENCE, Packet

log = logging.getLogger(__name__)

_MAX_KEPT_PACKETS = 60 * 60 * 50  # an hour of one speaker
_DAVE_TAIL = b"\xfa\xfa"
_SILENCE_FRAMES = 5  # what ends a sentence
_PADDED_EVERY = 12  # real clients pad 3 to 15 % of their packets
_PADDING_BYTES = 8


@dataclass(frozen=True, slots=True)
class HeardPacket:
    """A 20 ms Opus packet after decryption.

    Attributes:
        at: time.monotonic() of its arrival.
        opus: `rtp.SILENCE` among them.
    """

    sequence: int
    timestamp_samples: int
    at: float
    opus: bytes


@dataclass(slots=True)
class Heard:
    """What came from one speaker, oldest first.

    Attributes:
        speech_count: how many packets came that are not silence, also those no longer kept.
        undecryptable: frames whose key was not held, though earlier ones could be read.
        unencrypted: frames without end-to-end encryption; they are not listened to.
        too_early: frames before the first that could be read; a newcomer gets what was still
            under way with keys of before their time.
    """

    packets: deque[HeardPacket] = field(default_factory=lambda: deque(maxlen=_MAX_KEPT_PACKETS))
    speech_count: int = 0
    undecryptable: int = 0
    unencrypted: int = 0
    too_early: int = 0

    @property
    def speech(self) -> list[HeardPacket]:
        """The packets that are not silence."""
        return [packet for packet in self.packets if packet.opus != SILENCE]


class PersonInCall:
    """One person's call, from joining to leaving. What was heard stays readable afterwards.

    Attributes:
        speaking: ids of those who said that they speak (op 5).
        is_ready: this person and everybody else in the group hold its keys.
        listeners: called with the speaker's id and each packet as it is heard.
    """

    def __init__(self, user_id: str, *, ssrc: int, room: Room) -> None:
        self.user_id = user_id
        self.ssrc = ssrc
        self.heard: defaultdict[str, Heard] = defaultdict(Heard)
        self.speaking: set[str] = set()
        self.is_ready = False
        self.listeners: list[Callable[[str, HeardPacket], None]] = []
        self._room: Room | None = room
        self._dave = davey.DaveSession(PROTOCOL_VERSION, int(user_id), int(room.channel_id))
        self._announced_commit: bytes | None = None
        self._changed = asyncio.Event()
        self._may_speak = asyncio.Lock()  # one sentence at a time
        self._sequence = random.getrandbits(16)
        self._timestamp_samples = random.getrandbits(32)
        self._last_said_at = time.monotonic()
        room.join(self)

    @property
    def channel_id(self) -> str | None:
        """Where they are; None after they left."""
        return self._room.channel_id if self._room is not None else None

    async def until(self, condition: Callable[[], bool], *, timeout_s: float = 10.0) -> None:
        """Return once `condition` holds; it is looked at whenever something changed here.

        Raises:
            TimeoutError: it did not come true in time.
        """
        async with asyncio.timeout(timeout_s):
            while not condition():
                await self._changed.wait()

    async def ready(self, *, timeout_s: float = 10.0) -> None:
        """Return once this person and everybody else in the group hold its keys."""
        await self.until(lambda: self.is_ready, timeout_s=timeout_s)

    async def until_heard(self, user_id: str, count: int, *, timeout_s: float = 10.0) -> Heard:
        """What that speaker said, once `count` packets of speech came from them."""
        heard = self.heard[user_id]
        await self.until(lambda: heard.speech_count >= count, timeout_s=timeout_s)
        return heard

    async def speak(self, opus_packets: Iterable[bytes] | AsyncIterable[bytes]) -> int:
        """Say 20 ms Opus packets in real time; returns how many went out.

        Packets that come late are sent at once and the rhythm starts anew from there.
        Without the group's keys nothing is sent: alone, a person speaks to nobody.
        """
        async with self._may_speak:
            sent_count = 0
            self._announce_speaking(1)
            try:
                self._start_sentence()
                due_s = asyncio.get_running_loop().time()
                async for opus in _each(opus_packets):
                    due_s = await _sleep_until(due_s)
                    sent_count += self._say(opus)
                    due_s += FRAME_S
                for _ in range(_SILENCE_FRAMES):
                    due_s = await _sleep_until(due_s)
                    self._say(SILENCE)
                    due_s += FRAME_S
            finally:
                self._announce_speaking(0)
            return sent_count

    def leave(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            room.leave(self)
            self.is_ready = False
            self._dave.reset()
            self._notify()

    # What the room delivers

    def send(self, op: VoiceOp, data: object) -> None:
        asyncio.get_running_loop().call_soon(self._take, op, data)

    def send_binary(self, op: VoiceOp, payload: bytes) -> None:
        asyncio.get_running_loop().call_soon(self._take, op, payload)

    def send_packet(self, speaker: Participant, packet: Packet) -> None:
        heard = self.heard[speaker.user_id]
        opus = self._decrypt(int(speaker.user_id), packet.media, heard)
        if opus is not None:
            arrived = HeardPacket(packet.sequence, packet.timestamp_samples, time.monotonic(), opus)
            heard.packets.append(arrived)
            heard.speech_count += opus != SILENCE
            for listener in self.listeners:
                listener(speaker.user_id, arrived)
        self._notify()

    def _decrypt(self, speaker_id: int, media: bytes, heard: Heard) -> bytes | None:
        if media == SILENCE:
            return media
        if not media.endswith(_DAVE_TAIL):
            heard.unencrypted += 1
            return None
        if not self._dave.ready:
            heard.too_early += 1
            return None
        try:
            return self._dave.decrypt(speaker_id, davey.MediaType.audio, media)
        except ValueError:
            pass
        if self._announced_commit is not None:
            self._take_up_commit()  # the speaker has
            try:
                return self._dave.decrypt(speaker_id, davey.MediaType.audio, media)
            except ValueError:
                pass
        if self.is_ready and heard.speech_count:
            heard.undecryptable += 1
        else:
            heard.too_early += 1
        return None

    def _take(self, op: VoiceOp, data: Any) -> None:
        if self._room is None:
            return
        group, session = self._room.group, self._dave
        if op == VoiceOp.MLS_EXTERNAL_SENDER:
            session.set_external_sender(data)
            group.take_key_package(self, session.get_serialized_key_package())
        elif op == VoiceOp.MLS_PROPOSALS:
            self._take_up_commit()
            kind = davey.ProposalsOperationType.append
            answer = session.process_proposals(kind, data[1:])
            if answer is not None:
                group.take_commit(self, answer.commit + (answer.welcome or b""))
        elif op == VoiceOp.MLS_ANNOUNCE_COMMIT:
            (transition_id,) = struct.unpack_from(">H", data)
            self._announced_commit = data[2:]
            group.take_ready(self, transition_id)
        elif op == VoiceOp.MLS_WELCOME:
            (transition_id,) = struct.unpack_from(">H", data)
            if self._can_use(session.process_welcome, data[2:]):
                group.take_ready(self, transition_id)
        elif op == VoiceOp.EXECUTE_TRANSITION:
            self._take_up_commit()
            self.is_ready = session.ready
        elif op == VoiceOp.SPEAKING:
            self._note_speaking(data["user_id"], data["speaking"])
        elif op == VoiceOp.CLIENT_DISCONNECT:
            self.speaking.discard(data["user_id"])
        self._notify()

    def _take_up_commit(self) -> None:
        commit, self._announced_commit = self._announced_commit, None
        if commit is not None:
            self._can_use(self._dave.process_commit, commit)

    def _can_use(self, take: Callable[[bytes], None], message: bytes) -> bool:
        """Take a commit or welcome; where that fails, leave the group and ask to be let in anew."""
        try:
            take(message)
        except (RuntimeError, ValueError):
            log.warning("commit or welcome refused", exc_info=True)
        else:
            return True
        self.is_ready = False
        if self._room is not None:
            self._room.group.take_failure(self)
            self._dave.reinit(PROTOCOL_VERSION, int(self.user_id), int(self._room.channel_id))
            key_package = self._dave.get_serialized_key_package()
            self._room.group.take_key_package(self, key_package)
        return False

    def _note_speaking(self, user_id: str, flags: int) -> None:
        if flags:
            self.speaking.add(user_id)
        else:
            self.speaking.discard(user_id)

    # What they say

    def _announce_speaking(self, flags: int) -> None:
        if self._room is not None:
            self._room.announce_speaking(self, flags)

    def _start_sentence(self) -> None:
        """Let the timestamps jump over the pause; within a sentence they run with the frames."""
        pause_frames = int((time.monotonic() - self._last_said_at) / FRAME_S)
        self._timestamp_samples += pause_frames * FRAME_SAMPLES

    def _say(self, opus: bytes) -> bool:
        if self._room is None or not self.is_ready:
            return False
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp_samples = (self._timestamp_samples + FRAME_SAMPLES) & 0xFFFF_FFFF
        self._last_said_at = time.monotonic()
        packet = Packet.of_person(
            sequence=self._sequence,
            timestamp_samples=self._timestamp_samples,
            ssrc=self.ssrc,
            media=self._dave.encrypt_opus(opus),
            padding_bytes=_PADDING_BYTES if self._sequence % _PADDED_EVERY == 0 else 0,
        )
        self._room.relay(self, packet)
        return True

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


async def _sleep_until(due_s: float) -> float:
    """When to count the next frame from: `due_s`, or now where that has passed for good."""
    loop = asyncio.get_running_loop()
    if (wait_s := due_s - loop.time()) > 0:
        await asyncio.sleep(wait_s)
        return due_s
    return due_s if wait_s > -FRAME_S else loop.time()


async def _each(packets: Iterable[bytes] | AsyncIterable[bytes]) -> AsyncIterable[bytes]:
    if isinstance(packets, AsyncIterable):
        async for packet in packets:
            yield packet
    else:
        for packet in packets:
            yield packet
