"""A response means the same however its bytes are cut."""

import json

import pytest

from services.llm.errors import MalformedResponseError, ServerError
from services.llm.wire import ResponseReader, Usage


def chunk(text, **choice):
    choices = [{"index": 0, "delta": {"content": text}, "finish_reason": None, **choice}]
    return json.dumps({"choices": choices}, ensure_ascii=False).encode()


STREAM = (
    b": keep-alive\r\n\r\n"
    b'data: {"choices": [], "prompt_filter_results": []}\n\n'
    b'event: message\nid: 1\ndata: {"choices": [{"delta": {"role": "assistant"}}]}\n\n'
    + b"data: "
    + chunk("Gr")
    + b"\r\n\r\ndata:"
    + chunk("öße 🦊")
    + b'\n\ndata: {"choices": [{"delta": null,\ndata: "finish_reason": "stop"}]}\n\n'
    + b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}\n\n'
    + b"data: [DONE]\n\n"
)


def read(*pieces):
    reader = ResponseReader()
    text = "".join(reader.feed(piece) for piece in pieces) + reader.finish()
    return text, reader


def test_stream_reads_the_same_at_every_split_point():
    for i in range(len(STREAM) + 1):
        text, reader = read(STREAM[:i], STREAM[i:])
        assert (text, reader.error) == ("Größe 🦊", None), i
        assert reader.done
        assert reader.finish_reason == "stop"
        assert reader.usage == Usage(3, 4)


def test_one_byte_at_a_time_reads_the_same():
    text, reader = read(*(STREAM[i : i + 1] for i in range(len(STREAM))))
    assert text == "Größe 🦊"
    assert reader.done


def test_finished_json_reads_as_an_answer_at_every_split_point():
    body = b'\n{"choices": [{"message": {"content": "Hi \xc3\xb6"}, "finish_reason": "stop"}]}'
    for i in range(len(body)):
        text, reader = read(body[:i], body[i:])
        assert text == "Hi ö"
        assert reader.done


def test_content_may_come_in_parts_of_which_the_text_counts():
    parts = [{"type": "thinking", "text": "hm"}, {"type": "text", "text": "Hello"}]
    text, _ = read(b"data: " + chunk(parts) + b"\n\ndata: [DONE]\n\n")
    assert text == "Hello"


def test_reasoning_advances_without_text():
    reader = ResponseReader()
    assert reader.feed(b'data: {"choices": [{"delta": {"reasoning": "hm"}}]}\n\n') == ""
    assert reader.advanced
    assert reader.feed(b": keep-alive\n\n") == ""
    assert not reader.advanced


@pytest.mark.parametrize(
    ("details", "cached_tokens"),
    [
        ({"cached_tokens": 1024}, 1024),
        ({"cached_tokens": 0}, 0),
        ({"cached_tokens": 2000}, 0),
        ({"cached_tokens": -1}, 0),
        ({"cached_tokens": True}, 0),
        ({"cached_tokens": "1024"}, 0),
        ({"cached_tokens": None}, 0),
        ({}, 0),
        (None, 0),
        ([1024], 0),
    ],
)
def test_cached_tokens_are_read_where_they_make_sense(details, cached_tokens):
    usage = {"prompt_tokens": 1500, "completion_tokens": 4, "prompt_tokens_details": details}
    reader = ResponseReader()
    reader.feed(b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n")
    assert reader.usage == Usage(1500, 4, cached_tokens)


def test_text_before_an_error_is_kept():
    text, reader = read(b"data: " + chunk("Hello") + b'\n\ndata: {"error": "overloaded"}\n\n')
    assert text == "Hello"
    assert isinstance(reader.error, ServerError)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n\n",
        b"<html>",
        b"Internal Server Error",
        b"data: nothing\n\n",
        b"data: 1\n\n",
        b"data: null\n\n",
        b'data: {"choices": ["x"]}\n\n',
        b'data: {"choices": {}}\n\n',
        b"data: {}\n\n",
        b"[1]",
        b"{" * 100_000,
        b'{"choices": []}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_completion_is_malformed(body):
    text, reader = read(body)
    assert text == ""
    assert isinstance(reader.error, MalformedResponseError)


def test_line_without_end_is_given_up():
    reader = ResponseReader()
    reader.feed(b"data: ")
    for _ in range(6):
        reader.feed(b"x" * 1_000_000)
    assert isinstance(reader.error, MalformedResponseError)
