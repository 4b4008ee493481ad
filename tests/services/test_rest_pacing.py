"""Pacing in virtual time: what may be sent when, learned from Discord's headers alone."""

from __future__ import annotations

import asyncio

import pytest

from services.rest_pacing import RestPacer
from tests.fakes.virtual_time import in_virtual_time, now_s

ROOM = "channels/1"
SEND = ("POST", "/api/v10/channels/1/messages")
EDIT = ("PATCH", "/api/v10/channels/1/messages/99")
TYPING = ("POST", "/api/v10/channels/1/typing")


def pacer(**limits: int) -> RestPacer:
    return RestPacer(clock=asyncio.get_running_loop().time, **limits)


def limits(remaining: int, *, limit: int = 5, reset_s: float = 5.0, name: str = "abc"):
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset-After": str(reset_s),
        "X-RateLimit-Bucket": name,
    }


def send(pacing: RestPacer, request: tuple[str, str], headers: dict[str, str] | None) -> None:
    pacing.request_started(*request)
    pacing.response_received(*request, headers)


# ---------------------------------------------------------------------- edits


@in_virtual_time
async def test_an_edit_goes_at_once_where_nothing_is_known():
    assert pacer().edit_wait_s(ROOM) == 0


@in_virtual_time
async def test_edits_keep_a_slot_for_the_last_one():
    pacing = pacer()
    with pacing.streaming(ROOM):
        for remaining in (4, 3):
            send(pacing, EDIT, limits(remaining, reset_s=0.9))
            assert pacing.edit_wait_s(ROOM) == 0
        # Two are left: one for the last edit and one that discord.py would hold back.
        send(pacing, EDIT, limits(2, reset_s=0.9))
        assert pacing.edit_wait_s(ROOM) == pytest.approx(0.9)
        await asyncio.sleep(0.91)
        assert pacing.edit_wait_s(ROOM) == 0


@in_virtual_time
async def test_a_spare_slot_is_used_before_a_long_wait_but_never_the_last_one():
    pacing = pacer()
    with pacing.streaming(ROOM):
        send(pacing, EDIT, limits(2, reset_s=4.0))
        assert pacing.edit_wait_s(ROOM) == 0
        send(pacing, EDIT, limits(1, reset_s=4.0))
        assert pacing.edit_wait_s(ROOM) == pytest.approx(4.0)


@in_virtual_time
async def test_requests_that_are_out_count_as_sent():
    pacing = pacer()
    with pacing.streaming(ROOM):
        for _ in range(4):
            pacing.request_started(*EDIT)
        assert pacing.edit_wait_s(ROOM) > 0
        for _ in range(4):
            pacing.response_received(*EDIT, None)  # all failed without an answer
        assert pacing.edit_wait_s(ROOM) == 0


@in_virtual_time
async def test_routes_with_the_same_bucket_share_their_slots():
    pacing = pacer()
    with pacing.streaming(ROOM):
        send(pacing, EDIT, limits(4, name="shared"))
        send(pacing, SEND, limits(1, name="shared", reset_s=0.5))
        assert pacing.edit_wait_s(ROOM) == pytest.approx(0.5)


@in_virtual_time
async def test_a_bucket_of_its_own_takes_nothing_from_edits():
    pacing = pacer()
    with pacing.streaming(ROOM):
        send(pacing, EDIT, limits(4, name="edits"))
        send(pacing, SEND, limits(0, name="sends"))
        assert pacing.edit_wait_s(ROOM) == 0


@in_virtual_time
async def test_channels_do_not_share_slots():
    pacing = pacer()
    send(pacing, EDIT, limits(0))
    assert pacing.edit_wait_s("channels/1") > 0
    assert pacing.edit_wait_s("channels/2") == 0


@in_virtual_time
async def test_the_pace_follows_the_limits_in_the_headers():
    pacing = pacer()
    with pacing.streaming(ROOM):
        send(pacing, EDIT, limits(4, limit=5, reset_s=5.0))
        assert pacing.edit_interval_s(ROOM) == pytest.approx(5 / 3)
        send(pacing, EDIT, limits(9, limit=10, reset_s=2.0))
        assert pacing.edit_interval_s(ROOM) == pytest.approx(2 / 8)


@in_virtual_time
async def test_replies_in_one_channel_share_its_pace():
    pacing = pacer()
    with pacing.streaming(ROOM):
        alone = pacing.edit_interval_s(ROOM)
        with pacing.streaming(ROOM):
            assert pacing.edit_interval_s(ROOM) > 2 * alone
        assert pacing.edit_interval_s(ROOM) == alone
    assert not pacing._streaming


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 50])
@pytest.mark.parametrize("replies", [1, 3, 30])
@in_virtual_time
async def test_edits_come_through_under_any_limit(limit, replies):
    """A server that counts as Discord does, and a reply that edits whenever it may."""
    pacing, window_s = pacer(), 5.0
    left, resets_at, refused, edits = limit, 0.0, 0, 0
    for _ in range(replies):
        pacing.streaming(ROOM).__enter__()
    while now_s() < 60:
        wait_s = pacing.edit_wait_s(ROOM)
        if wait_s > 0:
            await asyncio.sleep(wait_s)
            continue
        if now_s() >= resets_at:
            left, resets_at = limit, now_s() + window_s
        refused += left == 0
        left = max(0, left - 1)
        edits += 1
        send(pacing, EDIT, limits(left, limit=limit, reset_s=resets_at - now_s()))
        await asyncio.sleep(pacing.edit_interval_s(ROOM))
    assert refused == 0
    assert edits >= 60 / max(pacing.edit_interval_s(ROOM), window_s) - 1


# ---------------------------------------------------------------------- the bot as a whole


@in_virtual_time
async def test_a_first_text_goes_at_once_below_the_limit():
    pacing = pacer(requests_per_s=3)
    for _ in range(3):
        await pacing.first_text_slot()
        send(pacing, SEND, None)
    assert now_s() == 0
    await pacing.first_text_slot()
    assert now_s() == pytest.approx(1.0, abs=0.01)


@in_virtual_time
async def test_a_crowd_of_first_texts_never_exceeds_the_limit_in_any_second():
    pacing, sent = pacer(requests_per_s=45), []

    async def reply(i: int) -> None:
        await pacing.first_text_slot()
        await asyncio.sleep(0.003 * (i % 5))  # on its way through the library
        request = ("POST", f"/api/v10/channels/{i}/messages")
        pacing.request_started(*request)
        await asyncio.sleep(0.05)
        sent.append(now_s())  # somewhere on its way
        await asyncio.sleep(0.05)
        pacing.response_received(*request, None)

    await asyncio.gather(*(reply(i) for i in range(200)))
    for start in sent:
        assert sum(start <= at < start + 1.0 for at in sent) <= 45
    assert now_s() < 6.0


@in_virtual_time
async def test_edits_leave_room_for_first_texts_that_are_due():
    pacing = pacer(requests_per_s=10)
    for i in range(6):
        send(pacing, ("POST", f"/api/v10/channels/{i + 10}/messages"), None)
    assert pacing.edit_wait_s(ROOM) == 0
    with pacing.first_text_due(), pacing.first_text_due():
        with pacing.first_text_due(), pacing.first_text_due():
            assert pacing.edit_wait_s(ROOM) > 0
        assert pacing.edit_wait_s(ROOM) == 0
    await asyncio.sleep(1.1)
    assert pacing._first_texts_due == 0


@in_virtual_time
async def test_edits_are_not_starved_by_a_crowd_that_waits_for_its_model():
    pacing, edits = pacer(requests_per_s=40), 0
    for _ in range(500):
        pacing.first_text_due().__enter__()
    while now_s() < 10:
        await pacing.slot()
        send(pacing, ("PATCH", f"/api/v10/channels/{edits}/messages/1"), None)
        edits += 1
    assert edits >= 10 * 40 / 2 * 0.9


@in_virtual_time
async def test_a_slot_is_counted_once():
    pacing = pacer(requests_per_s=4)
    for _ in range(4):
        await pacing.first_text_slot()
        send(pacing, SEND, None)
    assert now_s() == 0
    await pacing.first_text_slot()
    assert now_s() > 0


@in_virtual_time
async def test_a_slot_whose_request_never_starts_is_free_again_in_the_end():
    pacing = pacer(requests_per_s=4)
    for _ in range(4):
        await pacing.first_text_slot()
    await pacing.first_text_slot()
    assert now_s() == pytest.approx(30.0, abs=0.1)


@in_virtual_time
async def test_slots_for_slash_commands_answers_do_not_add_up():
    pacing = pacer(requests_per_s=4)
    for _ in range(20):
        await pacing.slot()
        send(pacing, ("PATCH", "/api/v10/webhooks/5/token/messages/@original"), None)
    assert now_s() == 0


# ---------------------------------------------------------------------- typing


@in_virtual_time
async def test_typing_indicators_have_a_limit_of_their_own():
    pacing = pacer(typing_per_s=3)
    assert [pacing.may_type() for _ in range(5)] == [True] * 3 + [False] * 2
    await asyncio.sleep(1.01)
    assert pacing.may_type()


@in_virtual_time
async def test_typing_gives_way_to_first_texts():
    pacing = pacer(requests_per_s=10)
    for i in range(8):
        send(pacing, ("POST", f"/api/v10/channels/{i}/messages"), None)
    assert pacing.may_type()
    with pacing.first_text_due(), pacing.first_text_due():
        assert not pacing.may_type()
    assert pacing.may_type()


# ---------------------------------------------------------------------- what is not counted


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v10/interactions/5/token/callback"),
        ("PATCH", "/api/v10/webhooks/5/token/messages/@original"),
        ("POST", "/api/v10/webhooks/5/token"),
        ("GET", "/api/v10/gateway/bot"),
    ],
)
@in_virtual_time
async def test_answers_to_interactions_do_not_count_against_the_bot(method, path):
    pacing = pacer(requests_per_s=2)
    for _ in range(10):
        send(pacing, (method, path), None)
    await pacing.first_text_slot()
    assert now_s() == 0


@in_virtual_time
async def test_a_slash_commands_answer_is_paced_by_its_own_bucket():
    pacing, webhook = pacer(), "webhooks/5/token"
    with pacing.streaming(webhook):
        path = "/api/v10/webhooks/5/token/messages/@original"
        send(pacing, ("PATCH", path), limits(0, reset_s=2.0))
        assert pacing.edit_wait_s(webhook) == pytest.approx(2.0)
        assert pacing.edit_wait_s(ROOM) == 0


@in_virtual_time
async def test_the_address_of_the_api_makes_no_difference():
    pacing = pacer()
    for i, prefix in enumerate(("/api/v10", "/api", "/proxy/api/v9", "")):
        send(pacing, ("PATCH", f"{prefix}/channels/{i}/messages/2"), limits(0, name=f"b{i}"))
        assert pacing.edit_wait_s(f"channels/{i}") > 0


# ---------------------------------------------------------------------- memory


@in_virtual_time
async def test_memory_is_bounded():
    pacing = pacer()
    for i in range(10_000):
        await asyncio.sleep(0.03)
        pacing.may_type()
        headers = limits(4, name=f"b{i % 7}")
        send(pacing, ("PATCH", f"/api/v10/channels/{i}/messages/{i}"), headers)
        send(pacing, ("POST", f"/api/v10/interactions/{i}/token{i}/callback"), headers)
        send(pacing, ("PATCH", f"/api/v10/webhooks/5/token{i}/messages/@original"), headers)
        await pacing.first_text_slot()
    assert len(pacing._hashes) == 3
    assert len(pacing._buckets) <= 4096
    assert len(pacing._answered) + len(pacing._booked) + len(pacing._typing_sent) < 1000


@in_virtual_time
async def test_a_busy_channel_is_remembered_however_many_others_come_and_go():
    pacing = pacer()
    send(pacing, EDIT, limits(0, reset_s=1000.0))
    for i in range(10_000):
        send(pacing, ("PATCH", f"/api/v10/channels/{i + 10}/messages/1"), limits(4))
        assert pacing.edit_wait_s(ROOM) > 0
