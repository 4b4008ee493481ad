"""Splitting: nothing lost, nothing too long, nothing that jumps while the text grows."""

from __future__ import annotations

import random
import re

import pytest

from cogs.chat.splitter import MESSAGE_LIMIT_CHARS, closed, open_fence, split

LIMIT = MESSAGE_LIMIT_CHARS
ROOM = LIMIT - 4  # a closing fence always fits


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", [""]),
        ("hello", ["hello"]),
        ("a" * ROOM, ["a" * ROOM]),
        ("a" * (ROOM + 1), ["a" * ROOM, "a"]),
        # between paragraphs, else lines, else words
        ("a" * 1500 + "\n\n" + "b" * 1000, ["a" * 1500, "b" * 1000]),
        ("a" * 1500 + "\n" + "b" * 1000, ["a" * 1500, "b" * 1000]),
        ("a" * 1500 + " " + "b" * 1000, ["a" * 1500, "b" * 1000]),
        # a paragraph that ends too early is no reason for a short message
        ("a\n\n" + "b" * 1500 + " " + "c" * 1000, ["a\n\n" + "b" * 1500, "c" * 1000]),
        # the separator may stand exactly at the end
        ("a" * ROOM + "\n\n" + "b", ["a" * ROOM, "b"]),
        ("a" * ROOM + " b", ["a" * ROOM, "b"]),
    ],
)
def test_a_cut_falls_between_paragraphs_else_lines_else_words(text, parts):
    assert split(text) == parts


def test_a_code_block_that_is_cut_is_closed_and_opened_again_with_its_language():
    code = "\n".join(f"line {i}" for i in range(300))
    parts = split(f"```python\n{code}\n```\nDone.")
    assert len(parts) == 2
    assert parts[0].startswith("```python\nline 0\n")
    assert parts[0].endswith("\n```")
    assert parts[1].startswith("```python\nline ")
    assert parts[1].endswith("line 299\n```\nDone.")
    assert joined(parts) == f"```python\n{code}\n```\nDone."


def test_indentation_inside_a_cut_code_block_is_kept():
    code = "\n".join(" " * (4 * (i % 5)) + f"x{i} = {i}" for i in range(400))
    for part in split(f"```py\n{code}\n```"):
        for line in part.splitlines()[1:-1]:
            number = int(re.findall(r"x(\d+)", line)[0])
            assert line == " " * (4 * (number % 5)) + f"x{number} = {number}"


def test_a_short_code_block_near_the_end_moves_whole_into_the_next_message():
    code = "```js\n" + "let x;\n" * 60 + "```"
    parts = split("a" * 1700 + "\n" + code)
    assert parts == ["a" * 1700, code]


def test_a_block_that_ends_at_the_cut_is_not_opened_again():
    body = "x" * (ROOM - len("```\n"))
    assert split(f"```\n{body}\n```\nafter") == [f"```\n{body}\n```", "after"]


def test_no_message_is_blank():
    for text in (
        " " * 5000 + "word",
        "\n" * 5000 + "word",
        "a" * 1990 + " " * 4000 + "b",
        "```\n" + "\n" * 5000 + "```",
        "a" * 3000 + "\n" * 3000,
    ):
        assert all(part.strip() for part in split(text)), repr(text[:20])


@pytest.mark.parametrize("text", ["`" * 5000, "```" * 2000, "a```" * 1500, "```x" * 1500])
def test_heaps_of_backticks_end_and_stay_within_the_limit(text):
    parts = split(text)
    assert all(len(part) <= LIMIT for part in parts)


def test_room_is_kept_in_the_first_message_only():
    parts = split("word " * 2000, reserved_chars=500)
    assert len(parts[0]) <= ROOM - 500
    assert 1900 < len(parts[1]) <= ROOM


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("no code", None),
        ("```", ""),
        ("```py", ""),
        ("```py\n", "py"),
        ("```c++\nint x;", "c++"),
        ("```\nx\n```", None),
        ("```py\nx\n```\ntext\n```js\n", "js"),
        ("inline ```x``` code", None),
    ],
)
def test_an_open_code_block_is_known_by_its_language(text, language):
    assert open_fence(text) == language
    assert open_fence(closed(text)) is None
    assert closed(text).startswith(text)


# ---------------------------------------------------------------------- at random


def joined(parts: list[str]) -> str:
    """The text behind the parts: closings and openings that the cuts made are taken out again."""
    text = parts[0]
    for part in parts[1:]:
        language = open_fence(text.removesuffix("\n```")) if text.endswith("\n```") else None
        opening = None if language is None else f"```{language}\n"
        if opening is not None and part.startswith(opening):
            text = text.removesuffix("```") + part.removeprefix(opening)
        else:
            text += "\n" + part
    return text


def random_answer(rng: random.Random) -> str:
    def words(count: int) -> str:
        return " ".join(
            "".join(rng.choices("abcdefgäöü漢字", k=rng.choice([1, 3, 5, 9, 30])))
            for _ in range(count)
        )

    blocks = []
    for _ in range(rng.randint(1, 12)):
        kind = rng.random()
        if kind < 0.5:
            blocks.append(words(rng.randint(1, 200)))
        elif kind < 0.7:
            blocks.append(
                "\n".join(f"- {words(rng.randint(1, 12))}" for _ in range(rng.randint(1, 30)))
            )
        elif kind < 0.75:
            blocks.append("x" * rng.randint(1, 5000))
        else:
            language = rng.choice(["", "py", "c++", "objective-c"])
            code = "\n".join(
                " " * rng.randint(0, 12) + words(rng.randint(0, 8))
                for _ in range(rng.randint(1, 120))
            )
            blocks.append(f"```{language}\n{code}\n```\nThen {words(3)}.")
    return "\n\n".join(blocks)


def without_space(text: str) -> str:
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("first_seed", range(0, 200, 50))
def test_any_answer_is_split_whole_and_balanced(first_seed):
    for seed in range(first_seed, first_seed + 50):
        rng = random.Random(seed)
        text = random_answer(rng)
        parts = split(text, reserved_chars=rng.choice([0, 0, 300]))
        assert all(len(part) <= LIMIT for part in parts), seed
        assert all(open_fence(part) is None for part in parts), seed
        assert all(part.strip() for part in parts), seed
        assert without_space(joined(parts)) == without_space(text), seed


@pytest.mark.parametrize("first_seed", range(0, 60, 20))
def test_all_parts_but_the_last_stay_as_they_are_while_the_text_grows(first_seed):
    for seed in range(first_seed, first_seed + 20):
        rng = random.Random(seed)
        text = random_answer(rng)
        before: list[str] = []
        at = 0
        while at < len(text):
            at += rng.choice([1, 1, 5, 40, 300])
            parts = split(text[:at])
            assert parts[: len(before) - 1] == before[:-1], (seed, at)
            assert len(parts) >= len(before), (seed, at)
            assert all(len(closed(part)) <= LIMIT for part in parts), (seed, at)
            before = parts
