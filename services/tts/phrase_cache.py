"""Phrases already spoken, as Opus packets: a hit costs no synthesis and no encoding.

In memory and on disk the least recently used leave first, each within the same bytes. On disk a
phrase is one file, `<SHA-256 of what was asked for>.opus`; no text is stored. Only what was asked
for a second time reaches the disk: greetings and common sentences do, an answer that was said
once to one person does not. Whose words a phrase repeats is not known, so a person who is
forgotten takes all of them along.

A file is a check sum and, for each packet, its size and its bytes. One that is not whole is
deleted and the phrase spoken anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import struct
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from services.atomic_write import remove_unfinished, replace_file
from services.background import BackgroundTasks

log = logging.getLogger(__name__)

_SUFFIX = ".opus"
_FORMAT = 1
_HEAD = struct.Struct("<4sBI")  # magic, format, CRC-32 of what follows
_MAGIC = b"PHRS"
_SIZE = struct.Struct("<H")
_OVERHEAD_BYTES = 200  # of an entry in memory, about
_LAST_WRITES_S = 5.0


@dataclass(frozen=True, slots=True)
class Phrase:
    """What is said, and all that changes how it sounds."""

    text: str
    provider: str
    version: str
    voice: str
    speed: float
    language: str

    @property
    def key(self) -> str:
        content = json.dumps([_FORMAT, *astuple(self)]).encode()
        return hashlib.sha256(content).hexdigest()


class PhraseCache:
    """The one owner of its directory; shared by all servers.

    Args:
        directory: made when missing.
        max_bytes: of the phrases in memory, and again of the files.
        enabled: without it nothing is kept and nothing found.

    Attributes:
        hits, misses: since the start.
    """

    holds = (
        "Sentences that I said aloud twice, as sound without names, until newer ones need the room."
    )

    def __init__(self, directory: Path, *, max_bytes: int, enabled: bool = True) -> None:
        self.hits = self.misses = 0
        self._directory = directory
        self._max_bytes = max_bytes
        self._enabled = enabled
        self._in_memory: OrderedDict[str, bytes] = OrderedDict()
        self._memory_bytes = 0
        self._on_disk: OrderedDict[str, int] = OrderedDict()  # file sizes
        self._disk_bytes = 0
        self._writing: set[str] = set()
        self._disk_refuses = False
        self._writes = BackgroundTasks()
        self._one_write = asyncio.Lock()

    async def open(self) -> None:
        """Find out what is on disk; a directory that cannot be used leaves the memory."""
        if not self._enabled:
            return
        try:
            files = await asyncio.to_thread(self._list)
        except OSError as error:
            self._refused(error)
            return
        for key, size in files:
            self._on_disk[key] = size
            self._disk_bytes += size
        await self._shrink_disk()

    async def aclose(self) -> None:
        """Let the writes that have begun come to their end."""
        await self._writes.aclose(grace_s=_LAST_WRITES_S)

    async def export_user(self, user_id: int) -> list[object]:
        """Nothing: sound that belongs to nobody."""
        return []

    async def delete_user(self, user_id: int) -> int:
        """Forget every phrase; returns how many."""
        for key in list(self._in_memory):
            self._drop_from_memory(key)
        async with self._one_write:
            count = await asyncio.to_thread(self._delete_all)
        self._on_disk.clear()
        self._disk_bytes = 0
        return count

    @property
    def is_enabled(self) -> bool:
        return self._enabled

    def __contains__(self, phrase: Phrase) -> bool:
        key = phrase.key
        return key in self._in_memory or key in self._on_disk

    async def get(self, phrase: Phrase) -> list[bytes] | None:
        """The packets of a phrase, None when it must be spoken anew."""
        if not self._enabled:
            return None
        key = phrase.key
        content = self._in_memory.get(key)
        packets = None
        if content is not None:
            self._in_memory.move_to_end(key)
            packets = _unpack(content)
        elif key in self._on_disk:
            packets = await self._load(key)
        if packets is None:
            self.misses += 1
            return None
        self.hits += 1
        if key in self._on_disk:
            self._on_disk.move_to_end(key)
        elif content is not None and key not in self._writing:
            self._writing.add(key)
            self._writes.start(self._write(key, content), name="phrase cache")
        return packets

    def put(self, phrase: Phrase, packets: Sequence[bytes]) -> None:
        """Keep a phrase that was spoken to its end."""
        if self._enabled and packets:
            self._keep(phrase.key, _pack(packets))

    def _keep(self, key: str, content: bytes) -> None:
        if len(content) + _OVERHEAD_BYTES > self._max_bytes:
            return
        self._drop_from_memory(key)
        self._in_memory[key] = content
        self._memory_bytes += len(content) + _OVERHEAD_BYTES
        while self._memory_bytes > self._max_bytes:
            self._drop_from_memory(next(iter(self._in_memory)))

    def _drop_from_memory(self, key: str) -> None:
        content = self._in_memory.pop(key, None)
        if content is not None:
            self._memory_bytes -= len(content) + _OVERHEAD_BYTES

    async def _load(self, key: str) -> list[bytes] | None:
        path = self._path(key)
        try:
            content = await asyncio.to_thread(_read, path)
        except FileNotFoundError:
            self._disk_bytes -= self._on_disk.pop(key, 0)
            return None
        except OSError:
            content = b""
        packets = _unpack(content)
        if packets is None:
            log.warning("phrase dropped, its file is not whole", extra={"file": path.name})
            await self._delete(key)
        else:
            self._keep(key, content)
        return packets

    async def _write(self, key: str, content: bytes) -> None:
        try:
            async with self._one_write:
                await asyncio.to_thread(replace_file, self._path(key), content)
            self._disk_refuses = False
            self._on_disk[key] = len(content)
            self._disk_bytes += len(content)
            await self._shrink_disk()
        except OSError as error:
            self._refused(error)
        finally:
            self._writing.discard(key)

    async def _shrink_disk(self) -> None:
        while self._disk_bytes > self._max_bytes:
            await self._delete(next(iter(self._on_disk)))

    async def _delete(self, key: str) -> None:
        self._disk_bytes -= self._on_disk.pop(key, 0)
        try:
            await asyncio.to_thread(self._path(key).unlink, missing_ok=True)
        except OSError as error:
            self._refused(error)

    def _refused(self, error: OSError) -> None:
        """Logged once until the disk takes something again."""
        if not self._disk_refuses:
            self._disk_refuses = True
            log.warning("phrases are not kept on disk", extra={"error": str(error)})

    def _list(self) -> list[tuple[str, int]]:
        """Keys and sizes, the least recently used first."""
        self._directory.mkdir(parents=True, exist_ok=True)
        remove_unfinished(self._directory)
        found = []
        for path in self._directory.glob(f"*{_SUFFIX}"):
            status = path.stat()
            found.append((status.st_mtime_ns, path.stem, status.st_size))
        return [(key, size) for _, key, size in sorted(found)]

    def _delete_all(self) -> int:
        files = list(self._directory.glob(f"*{_SUFFIX}"))
        for path in files:
            path.unlink(missing_ok=True)
        return len(files)

    def _path(self, key: str) -> Path:
        return self._directory / (key + _SUFFIX)


def _read(path: Path) -> bytes:
    content = path.read_bytes()
    os.utime(path)  # used now, as the next start will see
    return content


def _pack(packets: Sequence[bytes]) -> bytes:
    body = b"".join(_SIZE.pack(len(packet)) + packet for packet in packets)
    return _HEAD.pack(_MAGIC, _FORMAT, zlib.crc32(body)) + body


def _unpack(content: bytes) -> list[bytes] | None:
    """The packets, None when the content is not what was written."""
    if len(content) < _HEAD.size:
        return None
    if _HEAD.unpack_from(content) != (_MAGIC, _FORMAT, zlib.crc32(content[_HEAD.size :])):
        return None
    packets = []
    at = _HEAD.size
    while at < len(content):
        (size,) = _SIZE.unpack_from(content, at)
        at += _SIZE.size + size
        packets.append(content[at - size : at])
    return packets
