"""The lines of a history file: what each says, and the lines without a person or a message.

Nothing here does I/O. A line is bytes with its newline; `services.history_store` shows examples.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from services.conversation import AnswerStatus, HistoryRecord, Quote

_WORD = re.compile(r"[^\W\d_]{5,}|\d{3,}")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{3,}")


def record_line(record: HistoryRecord) -> bytes:
    return _line(record_data(record))


def record_data(record: HistoryRecord) -> dict[str, Any]:
    """A record as JSON values."""
    data: dict[str, Any] = {
        "id": record.id,
        "role": record.role,
        "at": round(record.at, 3),
        "text": record.text,
    }
    if record.role == "user":
        data["author_id"] = record.author_id
        data["author_name"] = record.author_name
        if (quote := record.quote) is not None:
            data["quote"] = [quote.message_id, quote.author_name, quote.text, quote.author_id]
    else:
        data["answers"] = list(record.answers)
        data["message_ids"] = list(record.message_ids)
        if record.status is not AnswerStatus.COMPLETE:
            data["status"] = record.status.value
    return data


def forget_line(message_id: int) -> bytes:
    """The message was deleted."""
    return _line({"forget": ["user", message_id]})


def reset_line(at: float) -> bytes:
    """What stands above is no longer part of the conversation."""
    return _line({"reset": at})


def _line(value: dict[str, Any]) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace") + b"\n"


def parsed(line: bytes) -> dict[str, Any]:
    """What a line says.

    Raises:
        ValueError, TypeError: it is damaged.
    """
    data = json.loads(line)
    if not isinstance(data, dict):
        raise TypeError("a line holds one JSON object")
    return data


def record_of(data: dict[str, Any]) -> HistoryRecord:
    """The record that a parsed line holds.

    Raises:
        ValueError, KeyError, TypeError, IndexError: it is damaged.
    """
    quote = data.get("quote")
    return HistoryRecord(
        id=int(data["id"]),
        role=str(data["role"]),
        at=float(data["at"]),
        text=str(data["text"]),
        author_id=int(data.get("author_id", 0)),
        author_name=str(data.get("author_name", "")),
        quote=_quote_of(quote) if quote else None,
        answers=tuple(int(i) for i in data.get("answers", ())),
        message_ids=tuple(int(i) for i in data.get("message_ids", ())),
        status=AnswerStatus(data.get("status", "complete")),
    )


def _quote_of(data: Sequence[Any]) -> Quote:
    author_id = int(data[3]) if len(data) > 3 else 0
    return Quote(int(data[0]), str(data[1]), str(data[2]), author_id)


DAMAGE = (ValueError, KeyError, TypeError, IndexError)


def without_forgotten(lines: Sequence[bytes]) -> list[bytes]:
    """The lines without deleted messages, their answers and quotes, and what was replaced since.

    A damaged line goes as well: nobody can tell whose words it holds.
    """
    records = _whole(lines)
    forgotten = {int(data["forget"][1]) for _, data in records if "forget" in data}
    newest = {(data["role"], data["id"]): i for i, (_, data) in enumerate(records) if "id" in data}
    kept: dict[int, bytes] = {}
    place_of: dict[tuple[str, int], int] = {}
    for index, (line, data) in enumerate(records):
        if "forget" in data:
            continue
        if "id" not in data:
            kept[index] = line
            place_of.clear()  # a record after a reset is none of those before it
            continue
        key = (data["role"], data["id"])
        place = place_of.setdefault(key, index)  # a later record stands where the first one stood
        if forgotten.issuperset(data.get("answers") or [data["id"]]):
            continue
        if index == newest[key] or place not in kept:
            kept[place] = _line(data) if _drop_quote(data, forgotten) else line
    return [kept[place] for place in sorted(kept)]


def without_user(user_id: int, lines: Sequence[bytes]) -> tuple[list[bytes], int]:
    """The lines without one person: messages, answers to them, quotes of them, echoes of them.

    An echo is an answer to somebody else that names this person or holds a word which only this
    person used.

    Returns:
        The lines that stay, and how many records went.
    """
    records = _whole(lines)
    theirs = [data for _, data in records if data.get("author_id") == user_id]
    quoted = [
        data["quote"][2]
        for _, data in records
        if data.get("quote") and _quote_of(data["quote"]).author_id == user_id
    ]
    gone = {data["id"] for data in theirs}
    names = {data["author_name"] for data in theirs}
    others = "\n".join(
        data["text"]
        for _, data in records
        if data.get("role") == "user" and data.get("author_id") != user_id
    )
    own_words = _words([*(data["text"] for data in theirs), *quoted]) - _words([others])
    named = "|".join(re.escape(name) for name in sorted(names) if len(name) > 2)
    mention = re.compile(rf"(?<!\w)(?:{named})(?!\w)", re.IGNORECASE) if named else None

    kept = []
    removed = 0
    for line, data in records:
        answers = data.get("answers") or ()
        is_echo = data.get("role") == "assistant" and (
            not own_words.isdisjoint(_words([data["text"]]))
            or (mention is not None and mention.search(data["text"]) is not None)
        )
        if data.get("author_id") == user_id or gone.intersection(answers) or is_echo:
            removed += 1
        elif _drop_quote(data, gone, names=names, author_id=user_id):
            kept.append(_line(data))
        else:
            kept.append(line)
    return kept, removed


def _whole(lines: Iterable[bytes]) -> list[tuple[bytes, dict[str, Any]]]:
    """The undamaged lines with what they say."""
    whole = []
    for line in lines:
        try:
            data = parsed(line)
            if "role" in data:
                record_of(data)
            elif "forget" in data:
                int(data["forget"][1])
            elif "reset" not in data:
                continue
        except DAMAGE:
            continue
        whole.append((line, data))
    return whole


def _drop_quote(
    data: dict[str, Any],
    message_ids: Collection[int],
    *,
    names: Collection[str] = (),
    author_id: int = 0,
) -> bool:
    """Take the quote out, if it is of one of those. Returns whether it was."""
    if not data.get("quote"):
        return False
    quote = _quote_of(data["quote"])
    is_theirs = (
        quote.message_id in message_ids
        or quote.author_name in names
        or (author_id != 0 and quote.author_id == author_id)
    )
    if is_theirs:
        del data["quote"]
    return is_theirs


def _words(texts: Iterable[str]) -> set[str]:
    """Words that can tell a person: long ones, numbers, runs of three where nothing is spaced."""
    words: set[str] = set()
    for text in texts:
        folded = text.casefold()
        words.update(_WORD.findall(folded))
        for run in _UNSPACED.findall(folded):
            words.update(run[i : i + 3] for i in range(len(run) - 2))
    return words
