"""The log: one record a line, no secret in any of them, and nobody waits for it."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest

from services import logging_setup
from services.logging_setup import setup_logging

SECRET = 'hush "quoted" secret'
TOKEN_SHAPED = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcDE.abcdefghijklmnopqrstuvwxyz0123456789AB"


@pytest.fixture(autouse=True)
def _root_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in logging_setup._CHATTY:
        logging.getLogger(name).setLevel(logging.NOTSET)


def logged(style, record, *, level="INFO", secrets=(SECRET,)) -> str:
    """What `record`, a function that logs, leaves in the stream."""
    stream = io.StringIO()
    stop = setup_logging(level, style, secrets, stream)
    try:
        record(logging.getLogger("test"))
    finally:
        stop()
    return stream.getvalue()


def fail_with(text):
    def record(log):
        try:
            raise RuntimeError(text)
        except RuntimeError:
            log.exception("it failed")

    return record


def test_fields_follow_the_text():
    out = logged("text", lambda log: log.info("sent", extra={"turn_id": 7, "why": "a b"}))
    assert out.endswith('INFO     test: sent turn_id=7 why="a b"\n')


def test_json_record_is_one_object_with_time_in_utc_and_fields():
    out = logged("json", lambda log: log.warning("sent %s", "ok", extra={"llm_ttft_s": 0.25}))
    entry = json.loads(out)
    assert entry["time"].endswith("+00:00")
    assert entry.keys() == {"time", "level", "logger", "message", "fields"}
    assert (entry["level"], entry["logger"], entry["message"]) == ("WARNING", "test", "sent ok")
    assert entry["fields"] == {"llm_ttft_s": 0.25}


def test_json_stays_json_with_values_that_json_does_not_know():
    extra = {"ratio": float("nan"), "path": object(), "half": "\ud800"}
    out = logged("json", lambda log: log.info("odd", extra=extra))
    json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_json_keeps_a_traceback_in_one_string():
    out = logged("json", fail_with("boom"))
    assert out.count("\n") == 1
    assert "RuntimeError: boom" in json.loads(out)["exception"]


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize("secret", [SECRET, TOKEN_SHAPED, "sk-proj-abcdefghijklmnop1234"])
def test_no_secret_in_text_fields_or_traceback(style, secret):
    def record(log):
        log.info("key %s", secret)
        log.info("key", extra={"key": secret, "keys": [secret]})
        fail_with(f"bad key {secret}")(log)

    out = logged(style, record)
    assert out.count("[redacted]") == 4
    assert secret not in out
    assert json.dumps(secret)[1:-1] not in out


def test_bearer_key_of_a_library_is_redacted():
    out = logged("text", lambda log: log.info("header Authorization: Bearer gsk_1234567890"))
    assert "gsk_" not in out


def test_a_message_cannot_forge_a_record():
    def record(log):
        log.info("name %s", "x\n2026-01-01 00:00:00 INFO test: forged", extra={"a": "b\r\nc"})
        fail_with("y\n2026-01-01 00:00:00 INFO test: forged")(log)

    lines = logged("text", record).splitlines()
    assert [line for line in lines if line.startswith("2026-01-01")] == []
    assert lines[0].count("forged") == 1


def test_arguments_that_do_not_fit_the_text_are_still_logged():
    out = logged("text", lambda log: log.info("one %d", "two"))
    assert "one %d ('two',)" in out


def test_chatty_libraries_are_calm_and_their_errors_are_seen():
    def record(_log):
        logging.getLogger("discord.client").info("routine")
        logging.getLogger("discord.gateway").error("broken")

    out = logged("text", record)
    assert "routine" not in out
    assert "broken" in out


def test_debug_shows_the_libraries_too():
    out = logged("text", lambda _: logging.getLogger("discord.http").debug("detail"), level="DEBUG")
    assert "detail" in out


def test_stop_writes_what_waits_and_may_be_called_twice():
    stream = io.StringIO()
    stop = setup_logging("INFO", "text", (), stream)
    for number in range(500):
        logging.getLogger("test").info("record %d", number)
    stop()
    stop()
    assert stream.getvalue().count("\n") == 500


class StuckStream(io.StringIO):
    """A terminal that takes nothing until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.released = threading.Event(), threading.Event()
        self.written = threading.Semaphore(0)

    def write(self, text: str) -> int:
        self.reached.set()
        self.released.wait(30)
        length = super().write(text)
        self.written.release()
        return length


def test_a_stuck_terminal_blocks_nobody_and_the_gap_is_told(monkeypatch):
    monkeypatch.setattr(logging_setup, "_MOST_WAITING", 3)
    stream = StuckStream()
    stop = setup_logging("INFO", "json", (), stream)
    log = logging.getLogger("test")
    log.info("first")
    assert stream.reached.wait(30)  # the writer holds the first; three more may wait
    for number in range(5):
        log.info("record %d", number)
    stream.released.set()
    for _ in range(4):
        assert stream.written.acquire(timeout=30)
    log.info("last")
    stop()
    entries = [json.loads(line) for line in stream.getvalue().splitlines()]
    told = [entry["message"] for entry in entries]
    assert told == [
        "first", "record 0", "record 1", "record 2", "log records dropped", "last",
    ]  # fmt: skip
    assert entries[4]["fields"] == {"records": 2}
