"""The demo model: a small rule-based talker that stands in until a real model is set.

It shows what the chat can do, remembers what was said in the conversation it is given, and says in
the last line of every reply that it is only a demo and how to set a real model. The same
conversation always gets the same answer.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from typing import Any

from aiohttp import web

from playground.model import ModelCall, Script, model_app

TTFT_S = 0.35
TOKENS_PER_S = 45.0

NOTICE = (
    "-# I am only the built-in demo model. For a real one set `OPENAI_API_KEY` or "
    "`OPENAI_BASE_URL` in `.env`, or start Ollama, and start me again."
)

_EXPRESSION_MAX_CHARS = 80
_NUMBER_MAX = 1e15
_EXPONENT_MAX = 64


def demo_app() -> web.Application:
    """The demo model as an OpenAI-compatible application with its routes under /v1."""
    return model_app(_script, models=("demo",))


def _script(call: ModelCall) -> Script:
    return Script.of(reply(call.messages), ttft_s=TTFT_S, tokens_per_s=TOKENS_PER_S)


def reply(messages: list[dict[str, Any]]) -> str:
    """The demo model's whole answer to a conversation."""
    if (note := _background_note(messages)) is not None:
        return note
    conversation = _Conversation(messages)
    for rule in _RULES:
        if answer := rule(conversation):
            return f"{answer}\n\n{NOTICE}"
    return f"{_say_something(conversation)}\n\n{NOTICE}"


# What a bot may put before a message: a summary, what it knows of the person, what is replied to.
_SUMMARY = re.compile(r"\A\[Earlier in this conversation[^\n]*\n(.*?)\n\]\n", re.DOTALL)
_ASIDES = re.compile(
    r"\A(?:\[Earlier in this conversation[^\n]*\n.*?\n\]\n)?"
    r"(?:\[(?:About|In reply to) [^\n]*\]\n)*",
    re.DOTALL,
)
_SPOKEN = re.compile(r"^(?:- )?((?!Assistant:)[^:\n\[]{1,40}: .*[^?\n])$", re.MULTILINE)
_TELLING = re.compile(r"\b(?:my|our|i|i'm|we|ich|mein\w*|je|mon|ma|soy|mi)\b|\d", re.IGNORECASE)
_NOTED_MAX_LINES = 12


def _background_note(messages: list[dict[str, Any]]) -> str | None:
    """The answer to a request that no person made: notes of a chat, or of what a person said."""
    instruction = str(messages[0].get("content")) if len(messages) == 2 else ""
    if instruction.startswith("You note what one person says"):
        return "NONE"
    if not instruction.startswith(("You sum up a part of a chat", "These are notes about a chat")):
        return None
    spoken = _SPOKEN.findall(_text_and_images(messages[1].get("content"))[0])
    telling = [line for line in spoken if _TELLING.search(line.partition(": ")[2])]
    return "\n".join(f"- {line}" for line in telling[-_NOTED_MAX_LINES:]) or "- Small talk."


def _summed_up(text: str) -> list[str]:
    """The lines of a summary that stands before a message."""
    match = _SUMMARY.match(text)
    lines = match[1].split("\n") if match else []
    return [line.removeprefix("- ").replace(" asked to remember: ", ": ") for line in lines]


class _Conversation:
    """What the demo model understands of the messages it is given."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self._user_texts: list[str] = []
        self.last_answer = ""
        self.images = 0
        for message in messages:
            text, images = _text_and_images(message.get("content"))
            if message.get("role") == "user":
                self._user_texts += [*_summed_up(text), _ASIDES.sub("", text)]
                self.images = images
            elif message.get("role") == "assistant":
                self.last_answer = text
        self.question = self._user_texts[-1] if self._user_texts else ""
        self.speaker, self.words = _speaker_and_words(self.question)
        self.lower = self.words.lower()

    def has(self, pattern: str) -> bool:
        return re.search(pattern, self.lower) is not None

    @property
    def name(self) -> str | None:
        """The name that the speaker gave, latest first, else the one their lines begin with."""
        for text in reversed(self._user_texts):
            speaker, words = _speaker_and_words(text)
            if speaker == self.speaker and (given := _given_name(words)):
                return given
        return self.speaker

    @property
    def turns(self) -> int:
        return len(self._user_texts)


def _text_and_images(content: object) -> tuple[str, int]:
    if isinstance(content, str):
        return content, 0
    if not isinstance(content, list):
        return "", 0
    parts = [part for part in content if isinstance(part, dict)]
    texts = [str(part.get("text", "")) for part in parts if part.get("type") == "text"]
    return "\n".join(texts), sum(part.get("type") == "image_url" for part in parts)


def _speaker_and_words(text: str) -> tuple[str | None, str]:
    """A line may begin with "Name: "."""
    match = re.match(r"([^\W\d_][\w .'-]{0,31}): (.*)", text.strip(), re.DOTALL)
    return (match[1], match[2].strip()) if match else (None, text.strip())


def _given_name(words: str) -> str | None:
    match = re.search(
        r"\b(?:my name is|my name's|ich hei(?:ß|ss)e|je m'appelle|me llamo)\s+"
        r"([^\W\d_][\w'-]{0,31})",
        words,
        re.IGNORECASE,
    ) or re.search(r"\bcall me\s+([^\W\d_][\w'-]{0,31})\W*$", words, re.IGNORECASE)
    return match[1] if match else None


_FILE = re.compile(
    r"^\W*(?:text )?(?:file|attachment|attached)\b[^\n]*?([\w()-][\w.()-]*\.\w{1,8})\b",
    re.IGNORECASE | re.MULTILINE,
)


def _about_attachments(c: _Conversation) -> str | None:
    if c.images:
        what = "an image" if c.images == 1 else f"{c.images} images"
        return (
            f"I was given {what} with your message. A model with eyes would now tell you what it "
            "shows; I only see that it arrived."
        )
    files = _FILE.findall(c.question)
    if not files:
        return None
    listed = "\n".join(f"- `{name.strip()}`" for name in files)
    lines = c.question.count("\n")
    return (
        f"This reached me with your message ({lines} lines in all):\n{listed}\n\n"
        "A real model would now read it for you."
    )


def _about_help(c: _Conversation) -> str | None:
    if not c.has(r"^/?help\b|what can you do|what do you do|how does this work|what can i try"):
        return None
    return (
        "Here is what you can try with me:\n\n"
        "```\n"
        "Say                         and I\n"
        "--------------------------  ------------------------------\n"
        "hello / hola / bonjour      answer in your language\n"
        "my name is Ada              remember it\n"
        "what is my name?            prove it\n"
        "what is (17 + 4) * 2?       work it out\n"
        "show me some code           show a highlighted code block\n"
        "tell me a long story        stream across several messages\n"
        "make a list                 show off Markdown\n"
        "```\n"
        "The bot around me has `/help`, `/chat`, `/reset` and `/stop`. Press **Stop** while I "
        "talk, write again before I have begun, or edit your question: I will keep up."
    )


def _about_names(c: _Conversation) -> str | None:
    if c.has(r"what(?:'s| is) my name|who am i|do you (?:know|remember) (?:me|my name)"):
        if c.name:
            return f"You are **{c.name}**. I read it in our conversation."
        return "You have not told me yet. Say “my name is …” and ask me again."
    if name := _given_name(c.words):
        return f"Pleased to meet you, **{name}**! Ask me later what your name is."
    if c.has(r"who are you|what(?:'s| is) your name|are you (?:an? )?(?:real|human|ai|gpt|bot)"):
        return (
            "I am the demo model: a few hundred lines of Python rules, no neural network at all. "
            "Everything around me is real, though: the bot, the streaming, the history."
        )
    return None


def _about_time(c: _Conversation) -> str | None:
    if c.has(r"\b(weather|news|today|time is it|search the web|stock|translate)\b"):
        return (
            "That I cannot do: I have no clock, no internet and no knowledge of the world. "
            "A real model knows a good deal more. Ask me for `help` to see my few tricks."
        )
    return None


_OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def calculate(expression: str) -> int | float:
    """The value of an expression of numbers, + - * / // % ** and parentheses.

    Raises:
        ValueError: it is something else, or too long.
        ZeroDivisionError: it divides by zero.
        OverflowError: a number in it is too large.
    """
    if len(expression) > _EXPRESSION_MAX_CHARS:
        raise ValueError("too long")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError("not arithmetic") from error
    value = _value(tree.body)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _value(node: ast.expr) -> int | float:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return _bounded(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        value = _value(node.operand)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp) and (operate := _OPERATORS.get(type(node.op))):
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow) and abs(right) > _EXPONENT_MAX:
            raise OverflowError("too large an exponent")
        return _bounded(operate(left, right))
    raise ValueError("not arithmetic")


def _bounded(value: Any) -> int | float:
    if not isinstance(value, int | float):
        raise ValueError("not a real number")
    if not abs(value) <= _NUMBER_MAX:
        raise OverflowError("too large a number")
    return value


def _about_arithmetic(c: _Conversation) -> str | None:
    text = c.lower.replace("×", "*").replace("÷", "/").replace("−", "-").replace("^", "**")
    text = re.sub(r"(?<=[\d)])\s*x\s*(?=[\d(])", "*", text)
    for word, sign in (("plus", "+"), ("minus", "-"), ("times", "*"), ("divided by", "/")):
        text = re.sub(rf"(?<=[\d)]) {word} (?=[\d(-])", f" {sign} ", text)
    asked = c.has(r"what|how much|calculate|compute|work out|=")
    for found in re.findall(r"[-(]*\d[\d\s.()+*/%-]*[\d)]", text):
        if not re.search(r"[\d)]\s*[-+*/%]", found):
            continue
        if not asked and len(found) < len(text) / 2:
            continue  # a date or a telephone number in passing
        shown = f"`{found.strip()}`"
        try:
            value = calculate(found)
        except ZeroDivisionError:
            return f"{shown} divides by zero, and there I draw the line."
        except OverflowError:
            return f"{shown} is too much for me: I stop at fifteen digits."
        except ValueError:
            continue
        number = f"{value:,}" if isinstance(value, int) else f"{value:,.10g}"
        return f"{shown} is **{number}**."
    return None


_GREETINGS = {
    r"hello|hi|hey|howdy|good (?:morning|evening|afternoon)": (
        "Hello{name}! Lovely to see you. Ask me for `help` and I show you what I can do."
    ),
    r"hola|buen[oa]s (?:d[ií]as|tardes|noches)": (
        "¡Hola{name}! Qué alegría verte. Escribe `help` y te enseño mis trucos."
    ),
    r"bonjour|salut|coucou": (
        "Bonjour{name} ! Quel plaisir. Écrivez `help` et je vous montre ce que je sais faire."
    ),
    r"hallo|guten (?:tag|morgen|abend)|moin|servus|gr(?:ü|ue)(?:ß|ss) gott": (
        "Hallo{name}! Schön, dass du da bist. Schreib `help`, dann zeige ich, was ich kann."
    ),
    r"ciao|buongiorno|buonasera": (
        "Ciao{name}! Che bello vederti. Scrivi `help` e ti mostro che cosa so fare."
    ),
    r"ol[áa]|bom dia|boa tarde": "Olá{name}! Que bom ver você. Escreva `help` e mostro o que sei.",
    r"hej|hei|god dag": "Hej{name}! Vad roligt att se dig. Skriv `help` så visar jag vad jag kan.",
    r"cześć|dzień dobry": "Cześć{name}! Miło cię widzieć. Napisz `help`, a pokażę, co umiem.",
    r"привет|здравствуйте?": "Привет{name}! Рад встрече. Напишите `help`, и я покажу, что умею.",
    r"(?:こんにちは|おはよう)\w*": "こんにちは{name}！ようこそ。`help` と書いてみてください。",
    r"(?:你好|您好)\w*": "你好{name}！很高兴见到你。输入 `help`，看看我会些什么。",
    r"안녕\w*": "안녕하세요{name}! 만나서 반가워요. `help`라고 써 보세요.",
}


def _about_greetings(c: _Conversation) -> str | None:
    for pattern, greeting in _GREETINGS.items():
        if re.match(rf"(?:{pattern})(?!\w)", c.lower):
            return greeting.format(name=f", {c.name}" if c.name else "")
    return None


_CODE = {
    "javascript": (
        "function* fibonacci(n) {\n"
        "  let [a, b] = [0, 1];\n"
        "  while (n-- > 0) {\n"
        "    yield a;\n"
        "    [a, b] = [b, a + b];\n"
        "  }\n"
        "}\n\n"
        'console.log([...fibonacci(10)].join(" "));'
    ),
    "rust": (
        "fn main() {\n"
        "    let (mut a, mut b) = (0u64, 1u64);\n"
        "    for _ in 0..10 {\n"
        '        print!("{a} ");\n'
        "        (a, b) = (b, a + b);\n"
        "    }\n"
        "}"
    ),
    "bash": (
        "a=0 b=1\n"
        "for _ in {1..10}; do\n"
        '  printf "%s " "$a"\n'
        '  read -r a b <<< "$b $((a + b))"\n'
        "done"
    ),
    "python": (
        "def fibonacci(n):\n"
        '    """The first n Fibonacci numbers."""\n'
        "    a, b = 0, 1\n"
        "    for _ in range(n):\n"
        "        yield a\n"
        "        a, b = b, a + b\n\n\n"
        "print(*fibonacci(10))  # 0 1 1 2 3 5 8 13 21 34"
    ),
}


_ASKS_FOR_CODE = rf"\b(code|function|script|program|snippet|fibonacci|{'|'.join(_CODE)})\b"


def _about_code(c: _Conversation) -> str | None:
    if not c.has(
        r"\b(code|function|script|program|snippet|python|javascript|rust|bash|fibonacci)\b"
    ):
        return None
    language = next((name for name in _CODE if name in c.lower), "python")
    return (
        f"Here are the Fibonacci numbers in {language.title()}, which I know by heart:\n\n"
        f"```{language}\n{_CODE[language]}\n```\n"
        "Ask for Python, JavaScript, Rust or Bash and I write it again."
    )


_STORY = (
    "# The Lighthouse That Answered",
    "On a rock at the edge of the map stood a lighthouse, and in it lived an old machine that "
    "had one task: to answer whoever called. For many years nobody did. The machine polished "
    "its lamp, counted the waves, and practised saying *good evening* in eleven languages.",
    "One night a small boat came drifting out of the fog. “Is anybody there?” cried the "
    "sailor. The machine had waited so long for this question that it forgot all eleven "
    "languages at once. So it did the only thing it still knew: it **lit the lamp**.",
    "“Thank you,” said the sailor, and tied the boat to the rock. “I have been rowing in "
    "circles since Tuesday. Which way is the harbour?” The machine thought about the stars, "
    "the current and the smell of bread that came with the east wind. It had never been to the "
    "harbour.",
    "> “I do not know,” it said at last. “But I can tell you what I see, and you can tell me "
    "what you remember, and between the two of us there may be a harbour.”",
    "So they sat down together. The sailor remembered a bell that rang at noon. The machine "
    "had heard a bell, faint and late, each day for nine thousand days, and had always written "
    "it down:",
    "1. first the bell,\n2. then four hundred waves,\n3. then the gulls, coming home from the "
    "east.",
    "“Sound is slow,” said the machine, “and gulls are honest.” It drew a line on the fogged "
    "window with a finger of light. The sailor laughed, because the line was so simple, and "
    "because it had been there all along for anybody who would count.",
    "At dawn the boat set out along the line. The machine kept the lamp burning though the sun "
    "was up, which is against the rules of lighthouses, and watched until the sail was a "
    "crumb, then a speck, then only the place where it had been looking.",
    "Nine hundred waves later a bell rang. It was not noon. It rang again, and again, quite "
    "out of order, the way a bell rings when somebody who has no business in a bell tower is "
    "pulling the rope with both hands and a great deal of joy.",
    "The machine wrote it down. Then it polished its lamp, and it found that it could say "
    "*good evening* in twelve languages now, for the sailor had left one behind.",
    "After that the boats came every week: fishers, a postman, two children with a cheese. "
    "None of them needed the way any more. They came because it is a fine thing to call out "
    "into the fog and be answered.",
    "*The end.* This story is longer than one Discord message, so you have also seen how an "
    "answer goes on in a second one.",
)


def _about_stories(c: _Conversation) -> str | None:
    if not c.has(r"\b(story|tale|long|essay|poem)\b"):
        return None
    return "\n\n".join(_STORY)


def _about_markdown(c: _Conversation) -> str | None:
    if not c.has(r"\b(lists?|markdown|formatting|bullets?|table)\b"):
        return None
    return (
        "## A little of everything\n"
        "- **bold**, *italic*, ~~struck out~~ and `code`\n"
        "- a ||hidden surprise||\n"
        "  - and a point below a point\n\n"
        "1. First make it work.\n2. Then make it right.\n3. Then make it fast.\n\n"
        "> Simple things should be simple, complex things should be possible.\n\n"
        "```\n"
        "language    greets with\n"
        "----------  -----------\n"
        "Spanish     hola\n"
        "French      bonjour\n"
        "German      guten Tag\n"
        "```"
    )


_JOKES = (
    "Why do programmers mix up Halloween and Christmas? Because Oct 31 = Dec 25.",
    "There are 10 kinds of people: those who read binary and those who do not.",
    "I would tell you a joke about UDP, but you might not get it.",
)


def _about_small_talk(c: _Conversation) -> str | None:
    if c.has(r"\bjokes?\b|make me laugh"):
        return _JOKES[c.turns % len(_JOKES)]
    if c.has(r"\b(thanks|thank you|thx|gracias|merci|danke|grazie)\b"):
        return f"You are very welcome{f', {c.name}' if c.name else ''}!"
    if c.has(r"\b(bye|goodbye|good night|see you)\b"):
        return "Goodbye! I will remember this conversation until somebody says `/reset`."
    if c.has(r"how are you|how(?:'s| is) it going"):
        return "Quite well, thank you: not a single bit out of place. And you?"
    if c.has(r"what did (?:you|i) (?:just )?say|repeat that"):
        return f"> {c.last_answer.splitlines()[0]}" if c.last_answer else "Nothing yet!"
    return None


_HINTS = (
    "Ask me for `help` to see what I can do.",
    "Try “show me some Python code”, or “tell me a long story”.",
    "Try “what is (17 + 4) * 2?”, or greet me in another language.",
    "Try editing your message: I answer again in the same place.",
)


def _say_something(c: _Conversation) -> str:
    hint = _HINTS[c.turns % len(_HINTS)]
    if not c.words:
        return f"I am here! {hint}"
    said = " ".join(c.words.split())
    said = said if len(said) <= 120 else said[:119].rstrip() + "…"
    thanks = f"Thank you, {c.name}. " if c.name else ""
    if c.words.endswith("?"):
        return f"{thanks}A good question, but beyond my rules: “{said}”\n\n{hint}"
    return f"{thanks}I have read “{said}”, and I would love to have an opinion on it.\n\n{hint}"


_RULES = (
    _about_attachments,
    _about_help,
    _about_names,
    _about_arithmetic,
    _about_code,
    _about_stories,
    _about_markdown,
    _about_small_talk,
    _about_time,
    _about_greetings,
)
