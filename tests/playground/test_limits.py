"""Rate limits: the windows, exact to the request, on a clock of our own."""

import math

from playground.limits import Limits, Rate, RateLimiter


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def limiter(**limits):
    clock = Clock()
    return RateLimiter(Limits(**{"global_per_s": None, **limits}), clock=clock), clock


def test_sixth_message_in_five_seconds_must_wait_for_the_window_to_end():
    rates, clock = limiter()
    for number in range(5):
        clock.now = 100.0 + number
        assert rates.take("message_create", "1").retry_after_s is None
    assert rates.take("message_create", "1").retry_after_s == 1.0
    clock.now = 105.0
    assert rates.take("message_create", "1").retry_after_s is None


def test_window_starts_with_its_first_request():
    rates, clock = limiter(message_create=Rate(1, 5.0))
    rates.take("message_create", "1")
    clock.now = 111.0
    assert rates.take("message_create", "1").headers["X-RateLimit-Reset-After"] == "5.000"


def test_channels_have_buckets_of_their_own():
    rates, _ = limiter(typing=Rate(1, 5.0))
    assert rates.take("typing", "1").retry_after_s is None
    assert rates.take("typing", "2").retry_after_s is None
    assert rates.take("typing", "1").retry_after_s == 5.0


def test_headers_count_down_and_name_the_bucket():
    rates, _ = limiter(message_edit=Rate(2, 5.0))
    first = rates.take("message_edit", "1").headers
    second = rates.take("message_edit", "2").headers
    assert (first["X-RateLimit-Limit"], first["X-RateLimit-Remaining"]) == ("2", "1")
    assert first["X-RateLimit-Bucket"] == second["X-RateLimit-Bucket"]
    assert first["X-RateLimit-Bucket"] != rates.take("typing", "1").headers["X-RateLimit-Bucket"]


def test_edits_count_with_messages_when_they_share_a_bucket():
    rates, _ = limiter(shared_message_bucket=True, message_create=Rate(2, 5.0))
    rates.take("message_create", "1")
    rates.take("message_edit", "1")
    assert rates.take("message_edit", "1").retry_after_s is not None


def test_global_limit_counts_all_routes_but_exempt_ones():
    rates, clock = limiter(global_per_s=2)
    assert rates.take(None, "").retry_after_s is None
    assert rates.take("typing", "1").retry_after_s is None
    assert rates.take(None, "").scope == "global"
    assert rates.take(None, "", counts_globally=False).retry_after_s is None
    clock.now += 1.0
    assert rates.take(None, "").retry_after_s is None


def test_refused_request_costs_nothing():
    rates, clock = limiter(typing=Rate(1, 1.0))
    rates.take("typing", "1")
    for _ in range(10):
        rates.take("typing", "1")
    clock.now += 1.0
    assert rates.take("typing", "1").retry_after_s is None


def test_limits_can_be_lifted_while_running():
    rates, _ = limiter(typing=Rate(1, 60.0))
    rates.take("typing", "1")
    rates.limits.enabled = False
    verdict = rates.take("typing", "1")
    assert verdict.retry_after_s is None
    assert verdict.headers == {}


def test_waiting_as_long_as_told_is_never_too_early():
    rates, clock = limiter(typing=Rate(1, 1.0))
    rates.take("typing", "1")
    clock.now += 1 / 3
    wait_s = rates.take("typing", "1").retry_after_s
    assert wait_s is not None
    assert math.isclose(wait_s, 2 / 3, abs_tol=0.001)
    clock.now += wait_s
    assert rates.take("typing", "1").retry_after_s is None


def test_closed_windows_are_forgotten():
    rates, clock = limiter(typing=Rate(1, 1.0))
    for channel in range(5_000):
        clock.now += 0.01
        rates.take("typing", str(channel))
    assert len(rates._windows) <= 1_000
