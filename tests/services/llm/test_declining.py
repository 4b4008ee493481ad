"""A fast model's word that passes a message on is never shown, and never mistaken."""

import pytest

from services.llm.declining import DECLINE_INSTRUCTION, DECLINE_WORD, Opening, may_decline

DECLINED = [
    DECLINE_WORD,
    f" \n{DECLINE_WORD}.\n",
    f"**{DECLINE_WORD}**",
    f'"{DECLINE_WORD.title()}"',
    f"{DECLINE_WORD}: this needs a better model.",
    "I'm sorry, but I can't help with that.",
    "I’m sorry, but I cannot do this.",
    "As an AI language model, I",
    "Es tut mir leid, aber ich kann das nicht.",
]
ANSWERS = [
    "",
    "Hello!",
    "I'm sorry to hear that.",
    "I'm fine, and you?",
    "Escalate it to your manager.",
    f"{DECLINE_WORD}D was the word.",
    f"You could say {DECLINE_WORD}.",
    "He said: I'm sorry, but I can't.",
    "ESC",
    "**Esc**ape",
    "👋 hi",
    "  indented",
    "As an",
]


def opened(pieces):
    opening = Opening()
    shown = "".join(map(opening.push, pieces))
    return shown + opening.flush(), opening.is_declined


@pytest.mark.parametrize("text", DECLINED)
def test_passing_on_shows_nothing_however_it_is_cut(text):
    for pieces in ([text], list(text), [text[:5], text[5:]]):
        assert opened(pieces) == ("", True)


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_is_shown_whole_however_it_is_cut(text):
    for pieces in ([text], list(text), [text[:5], text[5:]]):
        assert opened(pieces) == (text, False)


def test_an_answer_is_shown_from_its_first_letter_that_tells():
    opening = Opening()
    assert opening.push("I") == ""
    assert opening.push("t") == "It"
    assert opening.push(f" is {DECLINE_WORD}") == f" is {DECLINE_WORD}"


def test_instruction_stands_at_the_end_of_a_copy_of_the_system_message():
    question = {"role": "user", "content": "hi"}
    messages = [{"role": "system", "content": "Be kind."}, question]
    asked = may_decline(messages)
    assert asked[0]["content"].startswith("Be kind.")
    assert asked[0]["content"].endswith(DECLINE_INSTRUCTION)
    assert asked[1:] == [question]
    assert messages[0]["content"] == "Be kind."
    in_parts = [{"role": "system", "content": [{"type": "text", "text": "Be kind."}]}]
    assert may_decline(in_parts)[0]["content"][1]["text"] == DECLINE_INSTRUCTION
    assert len(in_parts[0]["content"]) == 1


@pytest.mark.parametrize("messages", [[], [{"role": "user", "content": "hi"}]])
def test_instruction_is_a_system_message_where_there_is_none(messages):
    assert may_decline(messages) == [
        {"role": "system", "content": DECLINE_INSTRUCTION},
        *messages,
    ]
