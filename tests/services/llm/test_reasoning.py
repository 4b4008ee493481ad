"""Reasoning never reaches the answer, wherever the stream is cut."""

import pytest

from services.llm.reasoning import ReasoningFilter

CASES = {
    "plain": ("Hello there.\nSecond line.", "Hello there.\nSecond line."),
    "at the start": ("<think>secret</think>Hello", "Hello"),
    "after whitespace": (" \n <think>secret</think>\n\nHello", "Hello"),
    "thinking": ("<thinking>secret</thinking>Hello", "Hello"),
    "reasoning": ("<reasoning>secret</reasoning> Hello", "Hello"),
    "any case": ("<THINK>secret</Think>Hello", "Hello"),
    "empty": ("<think></think>Hello", "Hello"),
    "twice": ("<think>a</think>\n<think>b</think>Hello", "Hello"),
    "many lines": ("<think>one\ntwo\n\n```\nthree</think>\n\nHello\n", "Hello\n"),
    "never closed": ("<think>secret", ""),
    "never closed but for half a tag": ("<think>secret</thin", ""),
    "other tags inside": ("<think>a </thinking> <b> b</think>Hello", "Hello"),
    "at a later line": ("Hello\n<think>secret</think>\n\nWorld", "Hello\n\nWorld"),
    "at a later line, indented": ("Hello\n  <think>secret</think>World", "Hello\nWorld"),
    "in mid-line": ("Use the <think> tag.</think>", "Use the <think> tag.</think>"),
    "in inline code": ("`<think>` opens", "`<think>` opens"),
    "in an indented code block": ("See:\n\n    <think>x", "See:\n\n    <think>x"),
    "in a fence": ("```\n<think>x</think>\n```\nbye", "```\n<think>x</think>\n```\nbye"),
    "in a tilde fence": ("~~~xml\n<think>x\n~~~\n", "~~~xml\n<think>x\n~~~\n"),
    "in a longer fence": ("````\n```\n<think>\n````\n", "````\n```\n<think>\n````\n"),
    "after a fence": ("```\nx\n```\n<think>secret</think>bye", "```\nx\n```\nbye"),
    "a fence with words is no end": ("```\n```py\n<think>\n```", "```\n```py\n<think>\n```"),
    "almost a tag": ("<thin king>\n<thinker>\n<b>", "<thin king>\n<thinker>\n<b>"),
    "half a tag at the end": ("Hello\n<thi", "Hello\n<thi"),
    "only closed": ("</think>\n\nHello", "Hello"),
    "closed after text": ("secret\n</think>\n\nHello", "secret\n\nHello"),
    "only whitespace": (" \n\n ", " \n\n "),
    "whitespace before text": (" \n going on", " \n going on"),
    "whitespace before reasoning that never ends": (" \n<think>", ""),
    "lone backticks": ("``", "``"),
    "carriage returns": ("<think>a\r\n</think>\r\nHello\r\n", "Hello\r\n"),
}


def _run(pieces, **options):
    reasoning = ReasoningFilter(**options)
    return "".join(map(reasoning.push, pieces)) + reasoning.flush()


@pytest.mark.parametrize("name", CASES)
def test_answer_is_the_same_at_every_split_point(name):
    text, expected = CASES[name]
    assert _run([text]) == expected
    assert _run(list(text)) == expected
    for i in range(len(text)):
        for j in range(i, len(text)):
            assert _run([text[:i], text[i:j], text[j:]]) == expected, (i, j)


def test_text_is_shown_as_soon_as_it_can_only_be_answer():
    reasoning = ReasoningFilter()
    assert reasoning.push("Hel") == "Hel"
    assert reasoning.push("lo <think> is") == "lo <think> is"
    assert reasoning.push("\n") == "\n"
    assert reasoning.push("<") == ""
    assert reasoning.push("b>") == "<b>"


def test_stray_closing_tag_is_dropped_and_told():
    reasoning = ReasoningFilter()
    shown = reasoning.push("secret\n</think>\n\nHello") + reasoning.flush()
    assert shown == "secret\n\nHello"
    assert reasoning.stray_close


@pytest.mark.parametrize("cut", range(len("secret\n</think>\n\nHello")))
def test_answer_that_begins_inside_the_reasoning_shows_only_what_follows_it(cut):
    text = "secret\n</think>\n\nHello"
    assert _run([text[:cut], text[cut:]], begins_inside=True) == "Hello"


def test_answer_without_the_expected_closing_tag_is_shown_whole():
    reasoning = ReasoningFilter(begins_inside=True)
    assert reasoning.push("Hello ") + reasoning.push("you") == ""
    assert reasoning.flush() == "Hello you"
    assert reasoning.began_outside


def test_expected_reasoning_with_both_tags_is_dropped():
    assert _run(["<think>a</think>Hello"], begins_inside=True) == "Hello"
    assert _run(["<think>never closed"], begins_inside=True) == ""
