"""Whom to ask next, and how two halves of an answer become one."""

import pytest

from services.llm.fallback import CircuitBreaker, Joint


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_three_failures_in_a_row_rest_an_endpoint_for_half_a_minute():
    clock = Clock()
    breaker = CircuitBreaker(clock)
    resting = []
    for _ in range(3):
        breaker.failed()
        resting.append(breaker.is_resting)
    for clock.now in (29.9, 30.0):
        resting.append(breaker.is_resting)
    assert resting == [False, False, True, True, False]


def test_success_forgets_earlier_failures():
    breaker = CircuitBreaker(Clock())
    breaker.failed()
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    breaker.failed()
    assert not breaker.is_resting


def test_rest_doubles_up_to_five_minutes_and_starts_small_again_after_success():
    clock = Clock()
    breaker = CircuitBreaker(clock)
    breaker.failed()
    breaker.failed()
    rests = []
    for _ in range(6):
        breaker.failed()
        rests.append(breaker.rests_until - clock.now)
        clock.now = breaker.rests_until
    assert rests == [30, 60, 120, 240, 300, 300]
    breaker.succeeded()
    for _ in range(3):
        breaker.failed()
    assert breaker.rests_until - clock.now == 30


def test_endpoint_rests_as_long_as_its_provider_asks_but_not_for_hours():
    clock = Clock()
    breaker = CircuitBreaker(clock)
    breaker.failed(retry_after_s=20)
    assert breaker.rests_until == 20
    clock.now = 20
    breaker.failed(retry_after_s=7200)
    assert breaker.rests_until == 320


JOINTS = {
    "nothing shown": ("", "Hello", "Hello"),
    "no overlap": ("The quick", " brown fox", " brown fox"),
    "no overlap, in mid-word": ("The quick bro", "wn fox", "wn fox"),
    "last words repeated": ("The quick brown", "The quick brown fox", " fox"),
    "half a word repeated whole": ("It was in Par", "Paris, of course", "is, of course"),
    "last words and half a word": ("The quick bro", "quick brown fox", "wn fox"),
    "space before the repetition": ("The quick brown", " quick brown fox", " fox"),
    "all of it repeated and no more": ("The quick brown", "quick brown", ""),
    "equal letters side by side": ("I sat on the", "east side", "east side"),
    "numbers are no repetition": ("It costs 10", "100 more", "100 more"),
    "table rules are no repetition": ("| --- | ", "| --- |\n", "| --- |\n"),
    "repeated code": ("```py\nfor i in range(", "for i in range(10):", "10):"),
    "text like the end, but another": ("one two three", "two three four", " four"),
    "long repetition": ("x" * 300 + " " + "word " * 30, "word " * 29 + "end", "end"),
    "Chinese": ("今天天气很好我们去", "我们去公园", "公园"),
}


@pytest.mark.parametrize("name", JOINTS)
def test_halves_are_joined_without_doubled_or_missing_text(name):
    shown, continuation, expected = JOINTS[name]
    for size in (1, 3, 1000):
        joint = Joint(shown)
        pieces = [continuation[i : i + size] for i in range(0, len(continuation), size)]
        assert "".join(map(joint.push, pieces)) + joint.flush() == expected, size


def test_text_that_repeats_nothing_is_not_held_back():
    joint = Joint("The quick brown")
    assert joint.push(" fox") == " fox"
    assert joint.push(" jumps") == " jumps"
