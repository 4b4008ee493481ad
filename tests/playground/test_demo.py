"""The demo model charms, remembers and always says that it is one."""

import aiohttp
import pytest
from aiohttp import web

from playground.demo import NOTICE, calculate, demo_app, reply
from services import conversation_summarizer, profile_learner
from services.conversation import Turn
from services.conversation_summarizer import Block, Summary
from services.query_optimizer import QueryOptimizer
from services.tokens import estimate_tokens
from tests.fakes.conversation import GUILD, said


def ask(*lines, name="Alice"):
    """The reply to a conversation in which the demo model has answered in between."""
    messages = [{"role": "system", "content": "Be kind."}]
    for line in lines:
        messages.append({"role": "user", "content": f"{name}: {line}"})
        messages.append({"role": "assistant", "content": "I see."})
    return reply(messages[:-1])


QUESTIONS = [
    "",
    "hello",
    "help",
    "/help",
    "tell me a story",
    "show me some code",
    "make a list",
    "what is 6 * 7?",
    "what is my name?",
    "who are you?",
    "how are you?",
    "tell me a joke",
    "what's the weather?",
    "thanks",
    "bye",
    "asdf",
    "why?",
    "💥" * 500,
    "what did you say?",
]


@pytest.mark.parametrize("question", QUESTIONS)
def test_every_reply_ends_with_the_notice_that_it_is_a_demo(question):
    text = ask(question)
    assert text.endswith(f"\n\n{NOTICE}")
    assert len(text) > len(NOTICE) + 5
    assert text == ask(question)
    assert "OPENAI_API_KEY" in NOTICE
    assert "OPENAI_BASE_URL" in NOTICE
    assert NOTICE.startswith("-# ")


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "user"}],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": [1]}],
    ],
)
def test_odd_conversations_get_a_reply_too(messages):
    assert reply(messages).endswith(NOTICE)


def test_it_remembers_the_name_a_person_gave_and_keeps_people_apart():
    assert "**Ada**" in ask("my name is Ada", "what is my name?")
    assert "**Grace**" in ask("my name is Ada", "call me Grace", "who am I?")
    assert "**Alice**" in ask("what is my name?")
    messages = [
        {"role": "user", "content": "Alice: my name is Ada"},
        {"role": "user", "content": "Bob: what is my name?"},
    ]
    assert "**Bob**" in reply(messages)
    assert "not told me" in reply([{"role": "user", "content": "what is my name?"}])


@pytest.mark.parametrize(
    ("greeting", "answer"),
    [
        ("hello there", "Hello, Alice!"),
        ("hola", "¡Hola, Alice!"),
        ("Bonjour !", "Bonjour, Alice"),
        ("Guten Tag", "Hallo, Alice!"),
        ("ciao", "Ciao, Alice!"),
        ("привет", "Привет, Alice!"),
        ("こんにちは", "こんにちは, Alice"),
        ("你好吗", "你好, Alice"),
    ],
)
def test_greeting_is_answered_in_its_language(greeting, answer):
    assert ask(greeting).startswith(answer)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2+2", 4),
        ("(17 + 4) * 2", 42),
        ("7/2", 3.5),
        ("6/2", 3),
        ("-3 + +5", 2),
        ("2**10", 1024),
        ("17 % 5", 2),
        ("17 // 5", 3),
        ("0.1 + 0.2", pytest.approx(0.3)),
    ],
)
def test_arithmetic_is_worked_out(expression, value):
    assert calculate(expression) == value


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("9**9**9**9", OverflowError),
        ("2**-1000", OverflowError),
        ("10**15 * 10", OverflowError),
        ("1e308 * 1e308", OverflowError),
        ("1/0", ZeroDivisionError),
        ("__import__('os')", ValueError),
        ("(1).__class__", ValueError),
        ("[1] * 9", ValueError),
        ("'a' * 9", ValueError),
        ("True + 1", ValueError),
        ("1j * 2", ValueError),
        ("(-8) ** 0.5", ValueError),
        ("1 +", ValueError),
        ("", ValueError),
        ("(" * 60, ValueError),
        ("1" + "+1" * 100, ValueError),
    ],
)
def test_what_is_no_small_sum_is_refused(expression, error):
    with pytest.raises(error):
        calculate(expression)


def test_sums_are_found_in_sentences_and_dates_are_left_alone():
    assert "is **42**" in ask("what is (17 + 4) * 2?")
    assert "is **144**" in ask("12 x 12")
    assert "is **1,024**" in ask("what's 2^10")
    assert "is **21**" in ask("what is 17 plus 4")
    assert "divides by zero" in ask("10 / 0")
    assert "too much" in ask("9**9**9")
    assert "is **" not in ask("we meet on 2026-11-05, my number is 555-1234")


def test_it_shows_code_lists_and_a_story_longer_than_a_message():
    assert "```python\n" in ask("show me some code")
    assert "```rust\n" in ask("a function in Rust please")
    assert "\n- " in ask("make a list")
    assert len(ask("tell me a story")) > 2000
    assert ask("help").count("```") == 2


def test_it_names_the_files_and_images_that_it_was_given():
    picture = {"type": "image_url", "image_url": {"url": "data:,"}}
    content = [{"type": "text", "text": "Alice: look\n[Attached image cat.png]"}, picture, picture]
    assert "2 images" in reply([{"role": "user", "content": content}])
    text = "Alice: read this\n[Attached file notes.txt]\nhello\n[Attached file b.py, cut short]"
    named = reply([{"role": "user", "content": text}])
    assert "`notes.txt`" in named
    assert "`b.py`" in named


async def test_demo_is_served_under_the_path_where_it_is_mounted():
    app = web.Application()
    app.add_subapp("/model", demo_app())
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/model/v1"
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{url}/models") as response:
                assert [model["id"] for model in (await response.json())["data"]] == ["demo"]
            body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
            async with session.post(f"{url}/chat/completions", json=body) as response:
                assert "Hello" in (await response.content.readline()).decode()
    finally:
        await runner.cleanup()


# ---------------------------------------------------------------------- what no person asked for


def asked_in_the_background(instruction, text):
    system = instruction.format(words=50) if "{words}" in instruction else instruction
    return reply([{"role": "system", "content": system}, {"role": "user", "content": text}])


def test_what_it_is_to_sum_up_it_sums_up_and_says_nothing_of_itself():
    chat = "[2026-01-01]\nAlice: my cat is called Mia\nAssistant: nice\nBob: how are you?\nBob: yes"
    notes = asked_in_the_background(conversation_summarizer._FOLD, chat)
    assert notes == "- Alice: my cat is called Mia"
    assert asked_in_the_background(conversation_summarizer._CONDENSE, notes) == notes
    assert asked_in_the_background(conversation_summarizer._FOLD, "Bob: yes") == "- Small talk."


def test_it_notes_nothing_about_people():
    assert asked_in_the_background(profile_learner.INSTRUCTIONS, "I live in Graz") == "NONE"


def test_it_reads_a_message_behind_a_summary_and_what_is_known_of_a_person():
    optimizer = QueryOptimizer(
        count=estimate_tokens, max_history_messages=10, max_context_tokens=2000
    )
    prompt = optimizer.build(
        Turn(1, (said(9, "what is my name?"),), guild_id=GUILD),
        [],
        persona="Be kind.",
        summary=Summary((Block(0, 2, "- Ada: my name is Adelaide"),)),
        facts=["I like tea"],
    )
    assert "**Adelaide**" in reply(prompt.messages)
