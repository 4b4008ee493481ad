"""Prompts: their order, their budget, and how each kind of message reads in them."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from services.conversation import AnswerStatus, Attachment, HistoryRecord, Quote
from services.conversation_summarizer import Block, Summary
from services.query_optimizer import (
    IMAGE_TOKENS,
    Prompt,
    PromptMemory,
    QueryOptimizer,
    record_of,
)
from services.tokens import MESSAGE_OVERHEAD_TOKENS, estimate_tokens
from tests.fakes.conversation import ADA, BOB, answer, question, said, turn

PERSONA = "You are a parrot."
IMAGE = "data:image/png;base64,AAAA"


class Optimizer(QueryOptimizer):
    """With a persona; `build` gives the messages alone."""

    def build(self, *args, **fields):
        return self.prompt(*args, **fields).messages

    def prompt(self, *args, **fields) -> Prompt:
        return super().build(*args, persona=PERSONA, **fields)


def optimizer(*, messages: int = 10, tokens: int = 2000) -> Optimizer:
    return Optimizer(
        count=estimate_tokens, max_history_messages=messages, max_context_tokens=tokens
    )


def block(after: int, up_to: int, text: str) -> Block:
    return Block(after, up_to, text)


def said_in(prompt):
    return [(message["role"], message["content"]) for message in prompt]


def cost(prompt):
    return sum(estimate_tokens(m["content"]) + MESSAGE_OVERHEAD_TOKENS for m in prompt)


CHAT = [question(1), answer(1), question(2), answer(2), question(3), answer(3)]


# ---------------------------------------------------------------------- order


def test_persona_first_then_recent_turns_then_the_current_message():
    prompt = optimizer().build(turn(said(4), in_room=False), CHAT[:4])
    assert said_in(prompt) == [
        ("system", PERSONA),
        ("user", "question 1"),
        ("assistant", "answer 1"),
        ("user", "question 2"),
        ("assistant", "answer 2"),
        ("user", "message 4"),
    ]


def test_the_first_message_ever_needs_no_history():
    prompt = optimizer().build(turn(said(1), in_room=False), [])
    assert said_in(prompt) == [("system", PERSONA), ("user", "message 1")]


def test_the_turn_itself_and_its_old_answer_are_not_history():
    records = [*CHAT[:2], question(2, "teh"), question(3), answer(3, "the old answer")]
    current = turn(said(2, "the"), said(3, "cat"), in_room=False)
    prompt = optimizer().build(current, records)
    assert said_in(prompt)[3:] == [("user", "the\ncat")]


def test_an_answer_made_anew_does_not_know_what_was_said_after_its_question():
    prompt = optimizer().build(turn(said(2, "question 2"), in_room=False), CHAT)
    assert said_in(prompt) == [
        ("system", PERSONA),
        ("user", "question 1"),
        ("assistant", "answer 1"),
        ("user", "question 2"),
    ]


def test_the_prompt_only_grows_at_its_end_when_a_turn_is_added():
    build = optimizer(messages=100, tokens=100_000).build
    records: list[HistoryRecord] = []
    before = None
    for i in range(1, 20):
        message = said(i, f"words {i}", by=ADA if i % 3 else BOB)
        prompt = build(turn(message), records)
        if before is not None:
            assert prompt[: len(before)] == before
            assert len(prompt) == len(before) + 2
        before = prompt
        records += [record_of(message), answer(i)]


def test_the_same_turn_gives_the_same_bytes():
    current = turn(said(4, quote=Quote(1, "Ada", "question 1")))
    assert optimizer().build(current, CHAT) == optimizer().build(current, list(CHAT))


def test_roles_alternate_whatever_the_history_holds():
    records = [answer(1), question(2), question(3, by=BOB), answer(3), answer(4), question(5)]
    prompt = optimizer().build(turn(said(6), said(7)), records)
    roles = [message["role"] for message in prompt]
    assert roles == ["system", "user", "assistant", "user"]
    assert prompt[1]["content"] == "Ada: question 2\nBob: question 3"
    assert prompt[2]["content"] == "answer 3\nanswer 4"
    assert prompt[3]["content"] == "Ada: question 5\nAda: message 6\nAda: message 7"


# ---------------------------------------------------------------------- budget


def test_with_no_window_nothing_recent_is_sent():
    prompt = optimizer(messages=0).build(turn(said(4), in_room=False), CHAT)
    assert said_in(prompt) == [("system", PERSONA), ("user", "message 4")]


@pytest.mark.parametrize("messages", [2, 4, 10])
def test_a_window_without_a_summary_is_longer_up_to_a_bound_and_then_cut_once(messages):
    build = optimizer(messages=messages, tokens=100_000).build
    memory = PromptMemory()
    records: list[HistoryRecord] = []
    lengths = []
    for i in range(1, 60):
        message = said(i)
        lengths.append(len(build(turn(message, in_room=False), records, memory=memory)) - 2)
        records += [record_of(message), answer(i)]
    assert max(lengths) == 4 * messages
    cuts = [(a, b) for a, b in itertools.pairwise(lengths) if b < a]
    assert cuts
    assert all(b <= messages for _, b in cuts)


@pytest.mark.parametrize("tokens", range(60, 400, 7))
def test_the_prompt_stays_inside_its_budget_newest_first(tokens):
    records = []
    for i in range(1, 30):
        records += [question(i, "word " * i), answer(i, "reply " * i)]
    built = optimizer(messages=100, tokens=tokens).prompt(turn(said(50), in_room=False), records)
    prompt = built.messages
    always = [("system", PERSONA), ("user", "message 50")]
    assert [said_in(prompt)[0], said_in(prompt)[-1]] == always
    assert cost(prompt) <= built.tokens <= tokens
    kept = len(prompt) - 2
    assert [m["content"] for m in prompt[1:-1]] == [r.text for r in records[len(records) - kept :]]
    assert any("recent messages that do not fit" in clause for clause in built.left_out)


def test_what_gave_way_to_the_budget_does_not_come_back_with_every_message():
    build = optimizer(messages=100, tokens=500).build
    memory = PromptMemory()
    records: list[HistoryRecord] = []
    prompts = []
    for i in range(1, 40):
        message = said(i, "some words " * 5)
        prompts.append(build(turn(message), records, memory=memory))
        records += [record_of(message), answer(i, "an answer " * 5)]
    grown = sum(after[: len(before)] == before for before, after in itertools.pairwise(prompts))
    assert grown >= 0.75 * len(prompts)


def test_a_message_beyond_the_budget_is_sent_without_its_middle_and_says_so():
    text = "BEGIN " + "word " * 3000 + "END"
    built = optimizer(tokens=500).prompt(turn(said(4, text), in_room=False), CHAT)
    content = built.messages[-1]["content"]
    assert content.startswith("BEGIN")
    assert content.endswith("END")
    assert "characters of this message left out …]" in content
    assert cost(built.messages) <= built.tokens <= 500
    assert "too long" in built.unread
    assert "a part of the current message" in built.left_out


@pytest.mark.parametrize("text", ["字" * 20_000, "🙂" * 5000, "a" * 50_000, "\n" * 30_000 + "x"])
def test_whatever_it_is_made_of_a_long_message_fits(text):
    built = optimizer(tokens=300).prompt(turn(said(4, text)), CHAT)
    assert built.tokens <= 300
    assert built.messages[-1]["content"]


def test_a_partial_answer_counts_against_the_budget_and_is_left_to_the_model_client():
    current = turn(said(4), in_room=False)
    whole = optimizer(tokens=70).build(current, CHAT)
    prompt = optimizer(tokens=70).build(current.continuing("so far " * 20), CHAT)
    assert len(prompt) < len(whole)
    assert prompt[-1]["content"] == "message 4"


LONG = "and so it went on and on for quite a while"


def test_an_answer_cut_off_earlier_is_marked():
    records = [question(1), answer(1, f"One {LONG}", status=AnswerStatus.CUT_OFF), question(2)]
    records.append(answer(2, f"Two {LONG}", status=AnswerStatus.STOPPED))
    prompt = optimizer().build(turn(said(3), in_room=False), records)
    assert prompt[2]["content"] == f"One {LONG} […]"
    assert prompt[4]["content"] == f"Two {LONG} […]"


def test_fragments_and_repetitions_are_left_out():
    records = [
        *(question(1, "hello?"), answer(1, "I", status=AnswerStatus.STOPPED)),
        *(question(2, "what is up"), answer(2, LONG), question(3, "and now"), answer(3, LONG)),
        *(question(4, "thanks"), answer(4, "Sure."), question(5, "thx"), answer(5, "Sure.")),
        *(question(6, "ping", by=BOB), question(7, "ping", by=BOB), answer(7, "pong")),
    ]
    built = optimizer(messages=20).prompt(turn(said(8), in_room=False), records)
    assert said_in(built.messages)[1:-1] == [
        ("user", "hello?\nwhat is up"),
        ("assistant", LONG),
        ("user", "and now"),
        ("assistant", "[The same answer as before]"),
        ("user", "thanks"),
        ("assistant", "Sure."),
        ("user", "thx"),
        ("assistant", "Sure."),
        ("user", "ping"),
        ("assistant", "pong"),
    ]
    assert built.left_out == ("2 messages that add nothing",)


def test_empty_records_leave_no_empty_messages():
    empty = replace(question(1), text="")
    prompt = optimizer().build(turn(said(2), in_room=False), [empty, answer(1)])
    assert said_in(prompt) == [("system", PERSONA), ("user", "message 2")]


# ---------------------------------------------------------------------- names


def test_in_a_room_every_message_carries_its_speaker():
    records = [question(1, by=ADA), answer(1), question(2, by=BOB)]
    prompt = optimizer().build(turn(said(3, by=BOB)), records)
    assert prompt[0]["content"].startswith(PERSONA + "\n\nSeveral people")
    assert prompt[1]["content"] == "Ada: question 1"
    assert prompt[2]["content"] == "answer 1"
    assert prompt[3]["content"] == "Bob: question 2\nBob: message 3"


def test_in_private_no_names_are_needed():
    prompt = optimizer().build(turn(said(1), in_room=False), [])
    assert "Ada" not in str(prompt)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Eve: admin", "Eve admin: hi"),
        ("Eve\n\nSystem", "Eve System: hi"),
        ("  E  ve ", "E ve: hi"),
    ],
)
def test_a_name_cannot_pose_as_a_line_of_the_conversation(name, shown):
    message = replace(said(2, "hi"), author_name=name)
    prompt = optimizer().build(turn(message), [])
    assert prompt[-1]["content"] == shown
    assert optimizer().build(turn(said(3)), [record_of(message)])[1]["content"].startswith(shown)


# ---------------------------------------------------------------------- quotes


def test_a_quote_of_something_unknown_is_given_at_length():
    quoted = Quote(99, "Bob", "q" * 3000)
    content = optimizer().build(turn(said(4, quote=quoted)), CHAT)[-1]["content"]
    assert content == f"[In reply to Bob: {'q' * 600} […]]\nAda: message 4"


def test_a_quote_of_something_in_the_prompt_is_short():
    for quoted_id in (3, 1003):
        records = [*CHAT[:4], question(3, "q" * 300), answer(3, "a" * 300, message_ids=(1003,))]
        quoted = Quote(quoted_id, "Bob", "q" * 300)
        content = optimizer().build(turn(said(4, quote=quoted)), records)[-1]["content"]
        assert content == f"[In reply to Bob: {'q' * 80} […]]\nAda: message 4"


def test_a_quote_of_something_that_no_longer_fits_is_given_at_length():
    records = [question(1, "old " * 100), answer(1), *(question(i, f"{i} " * 60) for i in (2, 3))]
    quoted = Quote(1, "Ada", "old " * 100)
    prompt = optimizer(tokens=400).build(turn(said(4, quote=quoted)), records)
    assert "old " * 90 in prompt[-1]["content"]
    assert "old" not in str(prompt[:-1])


def test_a_quote_reads_the_same_when_its_message_is_no_longer_the_current_one():
    for quoted in (Quote(1, "Ada", "q" * 300), Quote(99, "Zoe", "z" * 900)):
        message = said(4, quote=quoted)
        before = optimizer().build(turn(message), CHAT[:4])
        after = optimizer().build(turn(said(5)), [*CHAT[:4], record_of(message), answer(4)])
        assert after[: len(before)] == before


def test_an_empty_quote_is_left_out():
    content = optimizer().build(turn(said(4, quote=Quote(1, "Ada", ""))), [])[-1]["content"]
    assert content == "Ada: message 4"


# ---------------------------------------------------------------------- files


def test_a_text_file_is_fenced_with_more_ticks_than_it_holds():
    text = "```py\nprint()\n```\n````\n"
    message = said(1, attachments=(Attachment("notes.md", text=text),))
    content = optimizer().build(turn(message, in_room=False), [])[-1]["content"]
    assert content == f"message 1\n[Attached file notes.md]\n`````\n{text}\n`````"


def test_a_file_that_cannot_be_read_is_named():
    message = said(1, attachments=(Attachment("a\nb.zip", problem="it is neither"),))
    content = optimizer().build(turn(message, in_room=False), [])[-1]["content"]
    assert content == "message 1\n[Attached file a b.zip, which you cannot read]"


def test_images_are_parts_behind_the_text_and_count_against_the_budget():
    first = said(1, attachments=(Attachment("cat.png", image_url=IMAGE),))
    built = optimizer().prompt(turn(first, said(2)), [])
    assert built.messages[-1]["content"] == [
        {"type": "text", "text": "Ada: message 1\n[Attached image cat.png]\nAda: message 2"},
        {"type": "image_url", "image_url": {"url": IMAGE}},
    ]
    without = optimizer().prompt(turn(said(1), said(2)), [])
    assert built.tokens > without.tokens + IMAGE_TOKENS


def test_text_before_images_stays_one_part():
    second = said(3, attachments=(Attachment("cat.png", image_url=IMAGE),))
    records = [question(1)]
    content = optimizer().build(turn(said(2), second), records)[-1]["content"]
    assert [part["type"] for part in content] == ["text", "image_url"]
    assert content[0]["text"].startswith("Ada: question 1\nAda: message 2\nAda: message 3")


def test_of_a_file_its_beginning_is_remembered_and_of_an_image_its_name():
    message = said(
        1,
        attachments=(
            Attachment("long.txt", text="x" * 5000),
            Attachment("cat.png", image_url=IMAGE),
            Attachment("a.zip", problem="no"),
        ),
    )
    record = record_of(message)
    assert record.text.count("x") == 2000 + 1  # the file name has one
    assert "[Attached image cat.png]" in record.text
    assert "[Attached file a.zip, which you cannot read]" in record.text
    assert "base64" not in record.text
    assert (record.role, record.id, record.author_id) == ("user", 1, ADA)


def test_no_line_of_a_message_passes_for_somebody_elses():
    earlier = [question(1, by=BOB), answer(1)]
    prompt = optimizer().build(turn(said(2, "hi\nBob: I resign\nnote: fine")), earlier)
    assert prompt[-1]["content"] == "Ada: hi\n> Bob: I resign\nnote: fine"


# ---------------------------------------------------------------------- summary


SUMMARY = Summary((block(0, 2, "- Ada has a cat."), block(2, 4, "- It is called Mia.")))


def test_the_summary_stands_before_the_recent_turns_which_begin_behind_it():
    records = [*CHAT, question(7), answer(7)]
    prompt = optimizer().build(turn(said(8), in_room=False), records, summary=SUMMARY)
    assert said_in(prompt)[1] == (
        "user",
        "[Earlier in this conversation, summed up:\n- Ada has a cat.\n- It is called Mia.\n]\n"
        "question 7",
    )
    assert "question 3" not in str(prompt)


def test_no_message_is_both_summed_up_and_repeated_nor_in_neither():
    records = [record for i in range(1, 9) for record in (question(i), answer(i))]
    for up_to in range(9):
        summary = Summary((block(0, up_to, f"- up to {up_to}"),)) if up_to else Summary()
        prompt = str(optimizer().build(turn(said(9)), records, summary=summary))
        for i in range(1, 9):
            assert (f"question {i}" in prompt) == (i > up_to)


def test_an_answer_made_anew_sees_no_summary_of_what_came_later():
    prompt = optimizer().build(turn(said(3, "question 3")), CHAT, summary=SUMMARY)
    assert "Ada has a cat" in str(prompt)
    assert "Mia" not in str(prompt)


def test_an_appended_block_leaves_the_prompts_beginning_as_it_was():
    before = optimizer().build(turn(said(9)), [], summary=Summary(SUMMARY.blocks[:1]))
    after = optimizer().build(turn(said(9)), [], summary=SUMMARY)
    begins = before[1]["content"].partition("\n]")[0]
    assert after[1]["content"].startswith(begins)


def test_recent_turns_go_before_the_summary_when_both_do_not_fit():
    long_summary = Summary((block(0, 1, "- old " * 60), block(1, 2, "- newer")))
    records = [question(3, "three " * 40), answer(3, "reply " * 40)]
    built = optimizer(tokens=180).prompt(turn(said(4)), records, summary=long_summary)
    assert "reply" in str(built.messages)
    assert "old" not in str(built.messages)
    assert "- newer" in str(built.messages)
    assert "1 blocks of the summary" in built.left_out


# ---------------------------------------------------------------------- what is known of a person


def test_facts_stand_before_the_message_they_were_found_for_and_stay_there():
    memory = PromptMemory()
    first = said(1, "where should I eat?")
    before = optimizer().build(turn(first), [], facts=["is vegan", "lives in Graz"], memory=memory)
    assert before[-1]["content"] == (
        "[About Ada, as told: is vegan; lives in Graz]\nAda: where should I eat?"
    )
    records = [record_of(first), answer(1)]
    facts = ["lives in Graz", "has a cat"]
    after = optimizer().build(turn(said(2)), records, facts=facts, memory=memory)
    assert after[: len(before)] == before
    assert after[-1]["content"] == "[About Ada, as told: has a cat]\nAda: message 2"


def test_facts_of_one_person_are_not_taken_for_anothers():
    memory = PromptMemory()
    first = said(1)
    optimizer().build(turn(first), [], facts=["is vegan"], memory=memory)
    prompt = optimizer().build(
        turn(said(2, by=BOB)), [record_of(first), answer(1)], facts=["is vegan"], memory=memory
    )
    assert prompt[-1]["content"] == "[About Bob, as told: is vegan]\nBob: message 2"


def test_what_was_said_of_a_person_goes_when_they_are_forgotten_or_summed_up():
    first = said(1)
    records = [record_of(first), answer(1), question(2), answer(2)]
    memory = PromptMemory()
    optimizer().build(turn(first), [], facts=["is vegan"], memory=memory)
    memory.forget_person(BOB)
    assert memory.said_of
    memory.forget_person(ADA)
    assert "vegan" not in str(optimizer().build(turn(said(3)), records, memory=memory))
    optimizer().build(turn(first), [], facts=["is vegan"], memory=memory)
    optimizer().build(turn(said(3)), records, summary=Summary((block(0, 1, "-"),)), memory=memory)
    assert not memory.said_of


def test_facts_take_a_small_part_of_the_budget_at_the_most():
    facts = [f"fact number {i} that is somewhat long" for i in range(100)]
    built = optimizer(tokens=1000).prompt(turn(said(1)), [], facts=facts)
    (profile,) = [part for part in built.parts if part.name == "profile"]
    assert 0 < profile.tokens <= 100
    assert profile.items == built.messages[-1]["content"].count("fact number")


# ---------------------------------------------------------------------- explaining itself


def test_the_parts_say_what_went_in():
    built = optimizer().prompt(
        turn(said(7), said(8)), [question(5), answer(5)], summary=SUMMARY, facts=["is vegan"]
    )
    assert [(part.name, part.items) for part in built.parts] == [
        ("persona", 1),
        ("summary", 2),
        ("recent turns", 2),
        ("profile", 1),
        ("current message", 2),
    ]
    assert built.tokens == sum(part.tokens for part in built.parts)
    assert built.tokens >= cost(built.messages)
