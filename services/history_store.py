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
import json
import logging
import os
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiofiles

from services.atomic_write import replace_file
from services.background import BackgroundTasks
from services.conversation import AnswerStatus, HistoryRecord, Quote

log = logging.getLogger(__name__)

_READ_BLOCK_BYTES = 64 * 1024
_MAX_PENDING_LINES = 1000  # of one conversation, while the disk refuses writes
_LAST_WRITES_S = 5.0

_Key = tuple[str, int]


@dataclass(slots=True)
class _Conversation:
    records: OrderedDict[_Key, HistoryRecord]
    pending: list[bytes] = field(default_factory=list)  # lines that are not on disk yet
    forgotten: set[int] = field(default_factory=set)  # messages deleted since it was loaded
    torn: bool = False  # the file may end in half a line
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class HistoryStore:
    """The one owner of the history directory.

    Args:
        directory: made when missing.
        records_kept: newest records of a conversation that are loaded and kept in memory.
        max_conversations: conversations kept in memory; the least recently used leave first.
    """

    def __init__(
        self, directory: Path, *, records_kept: int = 40, max_conversations: int = 256
    ) -> None:
        self._directory = directory
        self._records_kept = records_kept
        self._max_conversations = max_conversations
        self._loaded: OrderedDict[int, _Conversation] = OrderedDict()
        self._loading: dict[int, asyncio.Task[_Conversation]] = {}
        self._known: set[int] = set()
        self._writes = BackgroundTasks()
        self._disk_failing = False

    async def open(self) -> None:
        """Make the directory and learn which conversations exist.

        Raises:
            OSError: the directory cannot be made or read.
        """
        self._known = await asyncio.to_thread(self._list_conversations)

    def _list_conversations(self) -> set[int]:
        self._directory.mkdir(parents=True, exist_ok=True)
        return {int(p.stem) for p in self._directory.glob("*.jsonl") if p.stem.isdecimal()}

    async def aclose(self) -> None:
        """Write what is still pending."""
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
        for record in records:
            if _subject(record) <= conversation.forgotten:
                continue  # deleted while it was on its way here
            if conversation.records.get(record.key) != record:
                conversation.records[record.key] = record
                conversation.pending.append(_line(_to_json(record)))
        self._trim(conversation)
        return await self._write(conversation_id, conversation)

    async def forget_messages(self, conversation_id: int, message_ids: Iterable[int]) -> None:
        """Take people's messages, and the answers to nothing else, out of the conversation."""
        conversation = await self._load(conversation_id)
        conversation.forgotten.update(message_ids)
        for key, record in list(conversation.records.items()):
            if _subject(record) <= conversation.forgotten:
                del conversation.records[key]
                conversation.pending.append(_line({"forget": key}))
        await self._write(conversation_id, conversation)

    async def reset(self, conversation_id: int, *, at: float) -> None:
        """Start afresh: what was said so far is no longer part of the conversation."""
        if conversation_id not in self._known:
            return
        conversation = await self._load(conversation_id)
        conversation.records.clear()
        conversation.pending.append(_line({"reset": at}))
        await self._write(conversation_id, conversation)

    async def delete_user(self, user_id: int) -> int:
        """Remove everything one person said, and the answers to it, from every file.

        What others quoted of it goes as well.

        Returns:
            How many records went.

        Raises:
            OSError: the disk refused; some of it may still be there.
        """
        removed = 0
        for conversation_id in sorted(self._known):
            conversation = await self._load(conversation_id)
            async with conversation.lock:
                path, lines = self._path(conversation_id), list(conversation.pending)
                gone, kept = await asyncio.to_thread(_rewrite_without, path, user_id, lines)
                conversation.torn = False
                conversation.pending[: len(lines)] = kept
                newest: list[bytes] = []
                if await asyncio.to_thread(path.exists):
                    newest, _ = await asyncio.to_thread(_read_newest, path, self._records_kept)
                conversation.records.clear()
                _apply(conversation.records, [*newest, *conversation.pending])
                self._trim(conversation)
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
                lines, conversation.torn = await asyncio.to_thread(
                    _read_newest, self._path(conversation_id), self._records_kept
                )
                _apply(conversation.records, lines)
            except OSError as error:
                log.error(
                    "history cannot be read, starting empty",
                    extra={"conversation_id": conversation_id, "error": str(error)},
                )
                conversation.torn = True
        self._trim(conversation)
        self._evict()
        self._loaded[conversation_id] = conversation
        return conversation

    def _trim(self, conversation: _Conversation) -> None:
        while len(conversation.records) > self._records_kept:
            conversation.records.popitem(last=False)

    def _evict(self) -> None:
        """Make room for one more."""
        idle = [
            c for c, conv in self._loaded.items() if not conv.pending and not conv.lock.locked()
        ]
        for conversation_id in idle[: max(0, len(self._loaded) + 1 - self._max_conversations)]:
            del self._loaded[conversation_id]

    def _path(self, conversation_id: int) -> Path:
        return self._directory / f"{int(conversation_id)}.jsonl"


def _subject(record: HistoryRecord) -> set[int]:
    """The messages whose deletion takes the record along."""
    return set(record.answers) if record.answers else {record.id}


def _line(value: dict[str, Any]) -> bytes:
    return (
        json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        + b"\n"
    )


def _to_json(record: HistoryRecord) -> dict[str, Any]:
    data: dict[str, Any] = {
        "id": record.id,
        "role": record.role,
        "at": round(record.at, 3),
        "text": record.text,
    }
    if record.role == "user":
        data["author_id"] = record.author_id
        data["author_name"] = record.author_name
        if record.quote is not None:
            quote = record.quote
            data["quote"] = [quote.message_id, quote.author_name, quote.text]
    else:
        data["answers"] = list(record.answers)
        data["message_ids"] = list(record.message_ids)
        if record.status is not AnswerStatus.COMPLETE:
            data["status"] = record.status.value
    return data


def _from_json(data: dict[str, Any]) -> HistoryRecord:
    quote = data.get("quote")
    return HistoryRecord(
        id=int(data["id"]),
        role=str(data["role"]),
        at=float(data["at"]),
        text=str(data["text"]),
        author_id=int(data.get("author_id", 0)),
        author_name=str(data.get("author_name", "")),
        quote=Quote(int(quote[0]), str(quote[1]), str(quote[2])) if quote else None,
        answers=tuple(int(i) for i in data.get("answers", ())),
        message_ids=tuple(int(i) for i in data.get("message_ids", ())),
        status=AnswerStatus(data.get("status", "complete")),
    )


def _object(line: bytes) -> dict[str, Any]:
    data = json.loads(line)
    if not isinstance(data, dict):
        raise TypeError("a line holds one JSON object")
    return data


def _apply(records: OrderedDict[_Key, HistoryRecord], lines: Sequence[bytes]) -> None:
    """Replay lines, oldest first. A damaged line is passed over and counted in the log."""
    damaged = 0
    for line in lines:
        try:
            data = _object(line)
            if "reset" in data:
                records.clear()
            elif "forget" in data:
                role, message_id = data["forget"]
                records.pop((role, int(message_id)), None)
            else:
                record = _from_json(data)
                records[record.key] = record
        except (ValueError, KeyError, TypeError, IndexError):
            damaged += 1
    if damaged:
        log.warning("damaged history lines passed over", extra={"lines": damaged})


def _read_newest(path: Path, count: int) -> tuple[list[bytes], bool]:
    """The last `count` whole lines, oldest first, and whether half a line follows them.

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
    return lines, bool(tail)


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


def _rewrite_without(path: Path, user_id: int, pending: Sequence[bytes]) -> tuple[int, list[bytes]]:
    """Write a file and the lines that wait for it anew without one person.

    Returns:
        How many records went, and what is left of the pending lines.

    Raises:
        OSError: the disk refused; the old file is still whole.
    """
    content = path.read_bytes() if path.exists() else b""
    whole, _, tail = content.rpartition(b"\n")
    written = [line + b"\n" for line in whole.split(b"\n")] if whole else []
    lines = _without(user_id, [*written, *pending])
    kept = [line for line in lines[: len(written)] if line]
    if tail or kept != written:
        replace_file(path, b"".join(kept))
    return lines.count(b""), [line for line in lines[len(written) :] if line]


def _without(user_id: int, lines: Sequence[bytes]) -> list[bytes]:
    """The lines, those with one person's words replaced by b"", and quotes of them taken out."""
    records = [_parsed(line) for line in lines]
    theirs = [record for record in records if record.get("author_id") == user_id]
    gone = {record["id"] for record in theirs}
    names = {record["author_name"] for record in theirs}

    def rewritten(line: bytes, record: dict[str, Any]) -> bytes:
        if not record or record.get("author_id") == user_id:
            return b""
        if record.get("role") == "assistant" and gone.intersection(record["answers"]):
            return b""
        quote = record.get("quote")
        if quote and (quote[0] in gone or quote[1] in names):
            return _line({key: record[key] for key in record if key != "quote"})
        return line

    return [rewritten(line, record) for line, record in zip(lines, records, strict=True)]


def _parsed(line: bytes) -> dict[str, Any]:
    """A line's object; an empty one when it is damaged."""
    try:
        data = _object(line)
        if "role" in data:
            _from_json(data)
    except (ValueError, KeyError, TypeError, IndexError):
        return {}
    return data
