"""How text is cut for Kokoro's process; the process itself is in test_kokoro.py."""

import pytest

from services.tts.kokoro_worker import _in_passes, pieces


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("", []),
        ("   ", []),
        ("Short.", ["Short."]),
        ("One sentence. Another one.", ["One sentence.", "Another one."]),
        ("He said “no way.” And then he left.", ["He said “no way.”", "And then he left."]),
        ("one clause here, another clause", ["one clause here,", "another clause"]),
        ("many words without any mark", ["many words without", "any mark"]),
        (
            "今日は晴れです。明日は雨が降るでしょう。その次はわからない。",
            ["今日は晴れです。明日は雨が降るでしょう。", "その次はわからない。"],
        ),
        ("x" * 45, ["x" * 20, "x" * 20, "x" * 5]),
        ("Hm. " + "x" * 30, ["Hm. " + "x" * 16, "x" * 14]),
    ],
)
def test_text_is_cut_where_a_speaker_would_pause(text, cut):
    assert list(pieces(text, 20)) == cut


@pytest.mark.parametrize("max_chars", [1, 2, 7, 50])
def test_nothing_is_lost_and_no_piece_is_too_long(max_chars):
    text = "Well, it depends: 3.5 or 4? “Both!” she said; nobody knew why… " * 5
    found = list(pieces(text, max_chars))
    assert max(map(len, found)) <= max_chars
    assert "".join("".join(found).split()) == "".join(text.split())


def test_what_grows_beyond_one_pass_is_cut_again_until_it_fits():
    text = "7 " * 100
    passes = list(_in_passes(text, lambda piece: piece.replace("7", "sjˈete"), 200))
    assert max(map(len, passes)) <= 510
    assert "".join(passes).count("sjˈete") == 100


def test_marks_alone_are_not_spoken():
    assert list(_in_passes("... !? ˈ", lambda piece: "... !?", 200)) == []
