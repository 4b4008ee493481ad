"""Logging: one line a record, without secrets, and never in the way of the event loop.

Records are formatted and redacted where they are logged and written by a thread of
their own, so that a slow terminal or a full disk delays nobody. Values given as
`extra` fields follow the text as `key=value`, or become members of a JSON object.
"""

from __future__ import annotations

import atexit
import json
import logging
import queue
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from typing import Any, Literal, TextIO

_MOST_WAITING = 10_000
_MASK = "[redacted]"
_SECRET_SHAPES = re.compile(
    r"(?<![\w-])(?:mfa\.[\w-]{20,}|[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,})"  # Discord tokens
    r"|(?<![\w-])sk-[\w-]{16,}"  # keys of OpenAI and of those who follow it
    r"|(?<=Bearer )[^\s\"']{8,}",
    re.ASCII,
)
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Libraries whose INFO tells of each request or each connection.
_CHATTY = ("discord", "openai", "httpx", "httpx2", "httpcore", "httpcore2", "aiohttp.access")


class RecordFormatter(logging.Formatter):
    """A record as one piece of text from which every secret is gone.

    Args:
        style: "text" for people; only a traceback adds lines, each of them indented.
            "json": an object on one line with `time` (ISO 8601, UTC), `level`, `logger`,
            `message`, `fields` and, after a failure, `exception`.
        secrets: values that never appear, whatever they look like; shorter than four
            characters they are words ("x", "no") and stay.
    """

    def __init__(self, style: Literal["text", "json"], secrets: Sequence[str]) -> None:
        super().__init__()
        self._is_json = style == "json"
        known = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def format(self, record: logging.LogRecord) -> str:
        fields = {k: v for k, v in vars(record).items() if k not in _STANDARD_FIELDS}
        failure = self._failure(record)
        time = datetime.fromtimestamp(record.created, UTC)
        # Redacted before they are escaped: a secret may hold a character that JSON escapes.
        message = self._redacted(_message(record))
        if self._is_json:
            entry: dict[str, Any] = {
                "time": time.isoformat(timespec="milliseconds"),
                "level": record.levelname,
                "logger": record.name,
                "message": message,
                "fields": {key: self._json_value(value) for key, value in fields.items()},
            }
            if failure:
                entry["exception"] = failure
            return json.dumps(entry)
        shown = "".join(
            f" {key}={_quoted(self._redacted(str(value)))}" for key, value in fields.items()
        )
        local = time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        line = f"{local} {record.levelname:<8} {record.name}: {_on_one_line(message)}{shown}"
        indented = "".join(f"\n    {_on_one_line(part)}" for part in failure.splitlines())
        return line + indented

    def _failure(self, record: logging.LogRecord) -> str:
        parts = []
        if record.exc_info and record.exc_info[0] is not None:
            parts.append(self.formatException(record.exc_info))
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return self._redacted("\n".join(parts))

    def _json_value(self, value: object) -> object:
        if value is None or isinstance(value, (bool, int)):
            return value
        if isinstance(value, float) and abs(value) < float("inf"):
            return value
        return self._redacted(str(value))

    def _redacted(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(_MASK, text)
        return _SECRET_SHAPES.sub(_MASK, text)


class _FormattingQueueHandler(QueueHandler):
    """Formats in the caller, where the record's values still are what they were.

    When the writer is stuck, records beyond `_MOST_WAITING` are dropped and counted.
    """

    def __init__(self, waiting: queue.SimpleQueue[Any]) -> None:
        super().__init__(waiting)
        self._waiting = waiting
        self._dropped = 0

    def prepare(self, record: logging.LogRecord) -> Any:
        return logging.makeLogRecord({"msg": self.format(record)})

    def enqueue(self, record: logging.LogRecord) -> None:
        if self._waiting.qsize() >= _MOST_WAITING:
            self._dropped += 1
            return
        if self._dropped:
            gap = {"name": __name__, "levelname": "WARNING", "records": self._dropped}
            self._dropped = 0
            self._waiting.put(
                self.prepare(logging.makeLogRecord({"msg": "log records dropped", **gap}))
            )
        self._waiting.put(record)


def setup_logging(
    level: str,
    format: Literal["text", "json"],
    secrets: Sequence[str],
    stream: TextIO = sys.stderr,
) -> Callable[[], None]:
    """Send the records of the whole process to `stream`.

    Args:
        level: the least level shown; libraries that tell of every request are kept to
            warnings and errors, except with "DEBUG".
        format: see `RecordFormatter`.
        secrets: see `RecordFormatter`.

    Returns:
        A function that writes what is waiting and stops; it runs at exit as well, and
        may be called more than once.
    """
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    entrance = _FormattingQueueHandler(waiting)
    entrance.setFormatter(RecordFormatter(format, secrets))
    writer = logging.StreamHandler(stream)
    writer.setFormatter(logging.Formatter("%(message)s"))
    listener = QueueListener(waiting, writer)

    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    root.addHandler(entrance)
    root.setLevel(level)
    least = root.level if root.level <= logging.DEBUG else max(root.level, logging.WARNING)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(least)
    logging.captureWarnings(True)
    listener.start()

    def stop() -> None:
        atexit.unregister(stop)
        if entrance in root.handlers:
            root.removeHandler(entrance)
            listener.stop()

    atexit.register(stop)
    return stop


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # the arguments do not fit the text
        return f"{record.msg} {record.args}"


def _on_one_line(text: str) -> str:
    """`text` with its control characters escaped: it cannot pass for a record of its own."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _quoted(text: str) -> str:
    if text and text.isprintable() and not re.search(r'[\s"=]', text):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())
