"""What providers say about failures, understood."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from services.llm import errors
from services.llm.errors import LLMError, RateLimitError, error_from_response, retry_after_s


def all_errors():
    found = [LLMError]
    for error in found:
        found += error.__subclasses__()
    return found


@pytest.mark.parametrize("error", all_errors())
def test_every_error_has_its_own_sentence_for_a_person(error):
    sentence = error("detail").sentence
    assert sentence.endswith(".")
    assert "detail" not in sentence
    assert [other for other in all_errors() if other.sentence == error.sentence] == [error]
    assert error.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360),
        ({"x-ratelimit-reset-requests": "1h2m3.5s"}, 3723.5),
        ({"x-ratelimit-reset-requests": "20ms", "x-ratelimit-reset-tokens": "5s"}, 0.02),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-requests": "12",
                "x-ratelimit-reset-tokens": "30s",
                "x-ratelimit-remaining-tokens": "0",
            },
            30,
        ),
    ],
)
def test_time_of_the_next_try_is_read_from_whatever_header_tells_it(headers, expected):
    assert retry_after_s(headers) == expected


def test_retry_after_may_be_a_date():
    then = datetime.now(UTC) + timedelta(seconds=100)
    assert retry_after_s({"retry-after": format_datetime(then, usegmt=True)}) == pytest.approx(
        100, abs=5
    )
    assert retry_after_s({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "in a second"),
        (7.3, "in 8 seconds"),
        (90, "in 90 seconds"),
        (100, "in 2 minutes"),
        (7200, "in 2 hours"),
    ],
)
def test_rate_limit_says_when_to_try_again(seconds, words):
    assert RateLimitError(retry_after_s=seconds).sentence.endswith(f"Please try again {words}.")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (None, "overloaded", errors.ServerError),
        (None, {"message": "no", "code": 502}, errors.ServerError),
        (None, {"message": "no", "code": "rate_limit_exceeded"}, errors.RateLimitError),
        (None, {"message": "no", "code": "invalid_api_key"}, errors.AuthenticationError),
        (None, {"message": "no", "code": "model_not_found"}, errors.UnknownModelError),
        (529, {"type": "overloaded_error"}, errors.ServerError),
        (413, "too large", errors.ContextTooLongError),
        (400, {"message": "maximum context length is 4096"}, errors.ContextTooLongError),
        (408, None, errors.ResponseTimeoutError),
        (422, {"detail": [{"loc": ["body"]}]}, errors.BadRequestError),
        (400, ["odd"], errors.BadRequestError),
    ],
)
def test_providers_error_object_becomes_the_error_it_means(status, body, expected):
    error = error_from_response(status=status, body=body, headers={}, secret="")
    assert type(error) is expected


def test_detail_is_short_and_on_one_line_and_without_credentials():
    message = "bad key hunter2 for\nhttp://me:pw@host/v1 " + "x" * 1000
    error = error_from_response(status=401, body=message, headers={}, secret="hunter2")
    assert error.detail.startswith("bad key *** for http://***@host/v1 xxx")
    assert len(error.detail) <= 300
