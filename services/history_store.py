"""History: every conversation is one append-only JSONL file, `<conversation id>.jsonl`.

A line counts only with its newline: a torn tail is dropped on load, and what `append`
has returned for survives the death of the process. The newest records of the
conversations in use are kept in memory, the least recently used go first.

    {"id":1,"role":"user","at":1767225600.0,"text":"hi","author_id":5,"author_name":"Ada"}
    {"id":1,"role":"assistant","at":1767225601.5,"text":"Hello!","answers":[1],"message_ids":[2]}
    {"forget":["user",1]}        the message was deleted
    {"reset":1767225700.0}       what stands above is no longer part of the conversation

A record with the role and id of an earlier one replaces it in its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiofiles

from services import history_lines
from services.atomic_write import remove_unfinished, replace_file
from services.background import BackgroundTasks
from services.conversation import HistoryRecord

log = logging.getLogger(__name__)

_READ_BLOCK_BYTES = 64 * 1024
_MAX_PENDING_LINES = 1000  # of one conversation, while the disk refuses writes
_LAST_WRITES_S = 5.0
_PURGE_DELAY_S = 1.0  # deletions come in rows

_Key = tuple[str, int]


@dataclass(slots=True)
class _Conversation:
    records: OrderedDict[_Key, HistoryRecord]
    pending: list[bytes] = field(default_factory=list)  # lines that are not on disk yet
    forgotten: set[int] = field(default_factory=set)  # messages deleted since it was loaded
    is_whole: bool = True  # nothing older stands in the file
    torn: bool = False  # the file may end in half a line
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class HistoryStore:
    """The one owner of the history directory.

    Args:
        directory: made when missing.
        records_kept: newest records of a conversation that are loaded and kept in memory.
        max_conversations: conversations kept in memory; the least recently used leave first.
        is_paused: whether nothing of a person is to be kept, by user id.
    """

    holds = "What you said to me and what I answered, until you delete it or are forgotten."

    def __init__(
        self,
        directory: Path,
        *,
        records_kept: int = 40,
        max_conversations: int = 256,
        is_paused: Callable[[int], bool] = lambda user_id: False,
    ) -> None:
        self._directory = directory
        self._is_paused = is_paused
        self._records_kept = records_kept
        self._max_conversations = max_conversations
        self._loaded: OrderedDict[int, _Conversation] = OrderedDict()
        self._loading: dict[int, asyncio.Task[_Conversation]] = {}
        self._known: set[int] = set()
        self._writes = BackgroundTasks()
        self._closing = asyncio.Event()
        self._purging: dict[int, asyncio.Task[None]] = {}
        self._deleted_at: dict[int, float] = {}  # when people were deleted, in Unix seconds
        self._disk_failing = False

    async def open(self) -> None:
        """Make the directory and learn which conversations exist.

        Raises:
            OSError: the directory cannot be made or read.
        """
        self._known = await asyncio.to_thread(self._list_conversations)

    def _list_conversations(self) -> set[int]:
        self._directory.mkdir(parents=True, exist_ok=True)
        remove_unfinished(self._directory)
        return {int(p.stem) for p in self._directory.glob("*.jsonl") if p.stem.isdecimal()}

    async def aclose(self) -> None:
        """Write what is still pending."""
        self._closing.set()
        for conversation_id, conversation in self._loaded.items():
            if conversation.pending:
                self._start_write(conversation_id, conversation)
        await self._writes.aclose(grace_s=_LAST_WRITES_S)

    # ------------------------------------------------------------------ reading

    def knows(self, conversation_id: int) -> bool:
        """Whether the bot has ever taken part in this conversation."""
        return conversation_id in self._known

    async def recent(self, conversation_id: int) -> list[HistoryRecord]:
        """The newest records, oldest first; from memory when the conversation is in use."""
        conversation = await self._load(conversation_id)
        return list(conversation.records.values())

    async def since(
        self, conversation_id: int, after_id: int, *, up_to: int | None = None, limit: int
    ) -> list[HistoryRecord]:
        """The records with an id above `after_id` and at most `up_to`, oldest first.

        The newest `limit` of them where they are more. What memory does not hold is read from
        the file, which takes as long as the file is large.
        """
        conversation = await self._load(conversation_id)
        records: Iterable[HistoryRecord] = conversation.records.values()
        if not conversation.is_whole and not any(record.id <= after_id for record in records):
            async with conversation.lock:
                path, pending = self._path(conversation_id), list(conversation.pending)
                records = await asyncio.to_thread(_read_all, path, pending)
        found = [r for r in records if r.id > after_id and (up_to is None or r.id <= up_to)]
        return found[max(0, len(found) - limit) :]

    async def find(self, conversation_id: int, role: str, record_id: int) -> HistoryRecord | None:
        """A record among the newest ones, None when it is not there."""
        if not self.knows(conversation_id):
            return None
        conversation = await self._load(conversation_id)
        return conversation.records.get((role, record_id))

    # ------------------------------------------------------------------ writing

    async def append(self, conversation_id: int, *records: HistoryRecord) -> bool:
        """Add records; one that is already there unchanged is not written again.

        Returns:
            True once they are on disk; False when the disk refuses (said in the log): they are
            kept in memory and written with the next append that succeeds.
        """
        conversation = await self._load(conversation_id)
        self._known.add(conversation_id)
        is_edited = False
        for record in records:
            if self._is_unwanted(record):
                conversation.forgotten.add(record.id)  # and so the answer to it
            if _subject(record) <= conversation.forgotten:
                continue  # deleted while it was on its way here
            record = self._without_unwanted_quote(record)
            before = conversation.records.get(record.key)
            if before != record:
                is_edited |= before is not None and before.text != record.text
                conversation.records[record.key] = record
                conversation.pending.append(history_lines.record_line(record))
        self._trim(conversation)
        is_written = await self._write(conversation_id, conversation)
        if is_edited and is_written:
            self._purge(conversation_id, conversation)  # what was said before leaves the file
        return is_written

    def _is_unwanted(self, record: HistoryRecord) -> bool:
        """Whether the person wants nothing kept, or was deleted while this was on its way."""
        if record.role != "user":
            return False
        deleted_at = self._deleted_at.get(record.author_id, float("-inf"))
        return self._is_paused(record.author_id) or record.at <= deleted_at

    def _without_unwanted_quote(self, record: HistoryRecord) -> HistoryRecord:
        quote = record.quote
        if quote is None or not (
            self._is_paused(quote.author_id) or quote.author_id in self._deleted_at
        ):
            return record
        return replace(record, quote=None)

    async def forget_messages(self, conversation_id: int, message_ids: Iterable[int]) -> None:
        """Take people's messages, and the answers to nothing else, out of the conversation.

        They leave the file as well, a moment later.
        """
        conversation = await self._load(conversation_id)
        gone = set(message_ids)
        conversation.forgotten |= gone
        is_known = False
        for key, record in list(conversation.records.items()):
            if _subject(record) <= conversation.forgotten:
                del conversation.records[key]
                is_known = True
            elif record.quote is not None and record.quote.message_id in gone:
                conversation.records[key] = replace(record, quote=None)
                is_known = True
        if is_known or not conversation.is_whole:
            conversation.pending += map(history_lines.forget_line, sorted(gone))
            await self._write(conversation_id, conversation)
            self._purge(conversation_id, conversation)

    def _purge(self, conversation_id: int, conversation: _Conversation) -> None:
        """Write the file anew without what it says is forgotten, once for many deletions."""
        if conversation_id in self._purging:
            return
        task = self._writes.start(
            self._rewrite_purged(conversation_id, conversation), name="history-purge"
        )
        self._purging[conversation_id] = task
        task.add_done_callback(lambda _: self._purging.pop(conversation_id, None))

    async def _rewrite_purged(self, conversation_id: int, conversation: _Conversation) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), _PURGE_DELAY_S)
        async with conversation.lock:
            try:
                await asyncio.to_thread(_rewrite_without_forgotten, self._path(conversation_id))
                conversation.torn = False
            except OSError as error:
                log.warning(
                    "deleted messages could not leave the file yet",
                    extra={"conversation_id": conversation_id, "error": str(error)},
                )

    async def reset(self, conversation_id: int, *, at: float) -> None:
        """Start afresh: what was said so far is no longer part of the conversation."""
        if conversation_id not in self._known:
            return
        conversation = await self._load(conversation_id)
        conversation.records.clear()
        conversation.is_whole = True
        conversation.pending.append(history_lines.reset_line(at))
        await self._write(conversation_id, conversation)

    async def export_user(self, user_id: int) -> Any:
        """What the person said, and the answers, by conversation; not what it replied to."""
        found: dict[str, list[dict[str, Any]]] = {}
        for conversation_id in sorted(self._known):
            conversation = await self._load(conversation_id)
            async with conversation.lock:
                path, pending = self._path(conversation_id), list(conversation.pending)
                records = await asyncio.to_thread(_read_all, path, pending)
            theirs = {record.id for record in records if record.author_id == user_id}
            if theirs:
                found[str(conversation_id)] = [
                    history_lines.record_data(replace(record, quote=None))
                    for record in records
                    if record.author_id == user_id or theirs.intersection(record.answers)
                ]
        return found

    async def delete_user(self, user_id: int) -> int:
        """Remove everything one person said, and the answers to it, from every file.

        What others quoted of it goes as well, and answers to others that repeat it.

        Returns:
            How many records went.

        Raises:
            OSError: the disk refused; some of it may still be there.
        """
        self._deleted_at[user_id] = time.time()
        removed = 0
        for conversation_id in sorted(self._known):
            conversation = await self._load(conversation_id)
            async with conversation.lock:
                path, lines = self._path(conversation_id), list(conversation.pending)
                records = conversation.records.values()
                conversation.forgotten |= {r.id for r in records if r.author_id == user_id}
                gone = await asyncio.to_thread(_rewrite_without_user, path, user_id, lines)
                if not gone and not conversation.torn:
                    continue
                conversation.torn = False
                del conversation.pending[: len(lines)]
                await self._read_into(conversation_id, conversation)
                removed += gone
        return removed

    async def _write(self, conversation_id: int, conversation: _Conversation) -> bool:
        """Bring pending lines to disk. A caller that is cancelled does not stop that."""
        return await asyncio.shield(self._start_write(conversation_id, conversation))

    def _start_write(self, conversation_id: int, conversation: _Conversation) -> asyncio.Task[bool]:
        return self._writes.start(
            self._write_pending(conversation_id, conversation), name="history-write"
        )

    async def _write_pending(self, conversation_id: int, conversation: _Conversation) -> bool:
        """Concurrent callers share one write."""
        async with conversation.lock:
            if not conversation.pending:
                return True
            lines, conversation.pending = conversation.pending, []
            path = self._path(conversation_id)
            try:
                if conversation.torn:
                    await asyncio.to_thread(_cut_torn_tail, path)
                    conversation.torn = False
                data = b"".join(lines)
                async with aiofiles.open(path, "ab", buffering=0) as file:
                    if await file.write(data) != len(data):
                        raise OSError("only a part was written")
                    await asyncio.to_thread(os.fsync, file.fileno())
            except OSError as error:
                conversation.torn = True
                conversation.pending = (lines + conversation.pending)[-_MAX_PENDING_LINES:]
                if not self._disk_failing:
                    self._disk_failing = True
                    log.error(
                        "history cannot be written, keeping it in memory",
                        extra={"conversation_id": conversation_id, "error": str(error)},
                    )
                return False
            if self._disk_failing:
                self._disk_failing = False
                log.info("history can be written again")
            return True

    # ------------------------------------------------------------------ memory

    async def _load(self, conversation_id: int) -> _Conversation:
        conversation = self._loaded.get(conversation_id)
        if conversation is not None:
            self._loaded.move_to_end(conversation_id)
            return conversation
        task = self._loading.get(conversation_id)
        if task is None:
            task = asyncio.create_task(self._read(conversation_id), name="history-load")
            self._loading[conversation_id] = task
            task.add_done_callback(lambda _: self._loading.pop(conversation_id, None))
        return await asyncio.shield(task)

    async def _read(self, conversation_id: int) -> _Conversation:
        conversation = _Conversation(OrderedDict())
        if conversation_id in self._known:
            try:
                await self._read_into(conversation_id, conversation)
            except OSError as error:
                log.error(
                    "history cannot be read, starting empty",
                    extra={"conversation_id": conversation_id, "error": str(error)},
                )
                conversation.torn = True
        self._evict()
        self._loaded[conversation_id] = conversation
        return conversation

    async def _read_into(self, conversation_id: int, conversation: _Conversation) -> None:
        """Fill the memory with the newest records of the file and what waits for it."""
        path = self._path(conversation_id)
        lines: list[bytes] = []
        if await asyncio.to_thread(path.exists):
            lines, conversation.is_whole, conversation.torn = await asyncio.to_thread(
                _read_newest, path, self._records_kept
            )
        conversation.records.clear()
        _apply(conversation.records, [*lines, *conversation.pending])
        self._trim(conversation)

    def _trim(self, conversation: _Conversation) -> None:
        while len(conversation.records) > self._records_kept:
            conversation.records.popitem(last=False)
            conversation.is_whole = False

    def _evict(self) -> None:
        """Make room for one more."""
        idle = [
            c
            for c, conv in self._loaded.items()
            if not conv.pending and not conv.lock.locked() and c not in self._purging
        ]
        for conversation_id in idle[: max(0, len(self._loaded) + 1 - self._max_conversations)]:
            del self._loaded[conversation_id]

    def _path(self, conversation_id: int) -> Path:
        return self._directory / f"{int(conversation_id)}.jsonl"


def _subject(record: HistoryRecord) -> set[int]:
    """The messages whose deletion takes the record along."""
    return set(record.answers) if record.answers else {record.id}


def _apply(records: OrderedDict[_Key, HistoryRecord], lines: Sequence[bytes]) -> None:
    """Replay lines, oldest first. A damaged line is passed over and counted in the log."""
    damaged = 0
    forgotten: set[int] = set()
    for line in lines:
        try:
            data = history_lines.parsed(line)
            if "reset" in data:
                records.clear()
            elif "forget" in data:
                forgotten.add(int(data["forget"][1]))
            else:
                record = history_lines.record_of(data)
                records[record.key] = record
        except history_lines.DAMAGE:
            damaged += 1
    if forgotten:
        for record in [r for r in records.values() if _subject(r) <= forgotten]:
            del records[record.key]
    if damaged:
        log.warning("damaged history lines passed over", extra={"lines": damaged})


def _read_all(path: Path, pending: Sequence[bytes]) -> list[HistoryRecord]:
    """Every record of a file and of the lines that wait for it."""
    records: OrderedDict[_Key, HistoryRecord] = OrderedDict()
    lines, _ = _whole_lines(path)
    _apply(records, [*lines, *pending])
    return list(records.values())


def _read_newest(path: Path, count: int) -> tuple[list[bytes], bool, bool]:
    """The last whole lines, oldest first, whether they are all, whether half a line follows them.

    Reads from the end, so that the cost does not grow with the file. A few lines more are
    read than asked for, as some replace or remove earlier ones.
    """
    wanted = 2 * count + 1
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        data = b""
        while position > 0 and data.count(b"\n") <= wanted:
            step = min(_READ_BLOCK_BYTES, position)
            position = file.seek(position - step)
            data = file.read(step) + data
    whole, newline, tail = data.rpartition(b"\n")
    lines = whole.split(b"\n") if newline else []
    if position > 0:
        lines = lines[1:]  # its beginning was not read
    return lines, position == 0, bool(tail)


def _cut_torn_tail(path: Path) -> None:
    """Shorten the file to its last newline."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        position = end
        while position > 0:
            step = min(_READ_BLOCK_BYTES, position)
            position = file.seek(position - step)
            found = file.read(step).rfind(b"\n")
            if found >= 0:
                position += found + 1
                break
        if position < end:
            file.truncate(position)


def _rewrite_without_user(path: Path, user_id: int, pending: Sequence[bytes]) -> int:
    """Write a file, with the lines that wait for it, anew without one person.

    Returns:
        How many records went.

    Raises:
        OSError: the disk refused; the old file is still whole.
    """
    written, is_torn = _whole_lines(path)
    lines = [*written, *pending]
    if not is_torn and not any(b"%d" % user_id in line for line in lines):
        return 0
    kept, removed = history_lines.without_user(user_id, lines)
    if is_torn or kept != written:
        replace_file(path, b"".join(kept))
    return removed


def _rewrite_without_forgotten(path: Path) -> None:
    """Write a file anew without the messages that were deleted.

    Raises:
        OSError: the disk refused; the old file is still whole.
    """
    lines, _ = _whole_lines(path)
    replace_file(path, b"".join(history_lines.without_forgotten(lines)))


def _whole_lines(path: Path) -> tuple[list[bytes], bool]:
    """All whole lines of a file, and whether half a line follows them."""
    content = path.read_bytes() if path.exists() else b""
    whole, _, tail = content.rpartition(b"\n")
    return [line + b"\n" for line in whole.split(b"\n")] if whole else [], bool(tail)
