"""What a message may hold."""

import pytest

from playground import Refusal
from playground.messages import (
    check_components,
    check_content,
    check_embeds,
    check_flags,
    mentions_in,
    pings_replied_user,
)


def button(custom_id="a", **more):
    return {"type": 2, "style": 1, "label": "Go", "custom_id": custom_id, **more}


def row(*components):
    return {"type": 1, "components": list(components)}


def test_content_of_2000_code_points_passes_and_one_more_does_not():
    assert check_content("😀" * 2_000) == "😀" * 2_000
    with pytest.raises(Refusal) as refusal:
        check_content("a" * 2_001)
    assert refusal.value.payload() == {
        "message": "Invalid Form Body",
        "code": 50035,
        "errors": {
            "content": {
                "_errors": [
                    {
                        "code": "BASE_TYPE_MAX_LENGTH",
                        "message": "Must be 2000 or fewer in length.",
                    }
                ]
            }
        },
    }
    assert refusal.value.sentence == "A message can have 2,000 characters at most."


def test_content_loses_its_outer_whitespace():
    assert check_content(" \n a  b\n ") == "a  b"


@pytest.mark.parametrize(
    "components",
    [
        [row(button("a"), button("a"))],
        [row(button("x" * 101))],
        [row(button(label=None))],
        [row(button(label="x" * 81))],
        [row(*(button(str(n)) for n in range(6)))],
        [row()],
        [row(button(str(n))) for n in range(6)],
        [button()],
        ["row"],
    ],
)
def test_faulty_components_are_refused(components):
    with pytest.raises(Refusal):
        check_components(components, flags=0)


def test_five_rows_of_five_buttons_pass():
    rows = [row(*(button(f"{r}.{b}") for b in range(5))) for r in range(5)]
    assert check_components(rows, flags=0) == rows


def test_link_button_needs_no_custom_id():
    link = {"type": 2, "style": 5, "label": "Docs", "url": "https://example.org"}
    assert check_components([row(link)], flags=0)


@pytest.mark.parametrize(
    "embeds",
    [[{}] * 11, [{"description": "x" * 4_097}], [{"title": "x" * 257}], "no list"],
)
def test_faulty_embeds_are_refused(embeds):
    with pytest.raises(Refusal):
        check_embeds(embeds)


def test_embeds_count_together():
    check_embeds([{"description": "x" * 3_000}] * 2)
    with pytest.raises(Refusal):
        check_embeds([{"description": "x" * 3_000}] * 3)


def test_only_settable_flags_are_kept():
    assert check_flags(1 << 2 | 1 << 5 | 1 << 7) == 1 << 2
    assert check_flags(1 << 2 | 1 << 6, on_edit=True) == 1 << 2


def test_text_mentions_everybody_it_names_unless_told_otherwise():
    found = mentions_in("<@1> <@!2> <@&3> @everyone <@1>", None)
    assert (found.user_ids, found.role_ids, found.everyone) == (("1", "2"), ("3",), True)


def test_allowed_mentions_none_mentions_nobody():
    found = mentions_in("<@1> <@&3> @here", {"parse": []})
    assert (found.user_ids, found.role_ids, found.everyone) == ((), (), False)
    assert pings_replied_user({"parse": []}) is False


def test_allowed_mentions_may_name_ids():
    found = mentions_in("<@1> <@2>", {"parse": [], "users": ["2"]})
    assert found.user_ids == ("2",)
    with pytest.raises(Refusal):
        mentions_in("", {"parse": ["users"], "users": ["2"]})
