"""Config: every setting of the bot, typed, documented and checked.

A setting is declared once, in the class `Config`, with its default, range, unit and
help; `.env.example` and the tables of docs/CONFIGURATION.md are written from the
declarations by `python config.py --write-docs`. Values come from `.env` and from
the process environment, which wins.

Importing this module reads nothing and prints nothing. A bad value reads as its
default and is told by `Config.problems()`, all of them at once, never with a secret.
"""

from __future__ import annotations

import argparse
import difflib
import io
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, cast
from urllib.parse import urlsplit

from dotenv.parser import parse_stream

T = TypeVar("T")
N = TypeVar("N", int, float)

OPENAI_DEFAULT_URL = "https://api.openai.com/v1"

_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_SHOWN_CHARS = 60
_NEAR_MISS_RATIO = 0.85
# A long run with letters and digits may be a key that was put in the wrong place.
_OPAQUE = re.compile(r"(?=[\w.-]*\d)(?=[\w.-]*[A-Za-z])[\w.-]{20,}")


class BadValue(ValueError):
    """A text is not a value of its setting.

    Args:
        reason: what is wrong, to follow the key ('lists "bob"'); empty: the text as it is.
    """


@dataclass(frozen=True, slots=True)
class FallbackModel:
    """A model to ask when the ones before it fail, and where it is served."""

    model: str
    base_url: str  # empty: OpenAI
    api_key: str = field(repr=False)  # empty: the server needs none


@dataclass(frozen=True, slots=True)
class Section:
    """A heading for the settings declared after it."""

    title: str
    line: str


class Setting(ABC, Generic[T]):
    """One key of the environment, as an attribute of `Config` and of its instances."""

    expected: str
    example: str

    def __init__(self, default: str, help: str, *, example: str = "", secret: bool = False) -> None:
        self.default = default
        self.help = help
        self.secret = secret
        self.example = example or default

    def __set_name__(self, owner: type[Config], name: str) -> None:
        self.name = name

    def __get__(self, instance: Config | None, owner: type[Config]) -> T:
        config = owner.of_process() if instance is None else instance
        return cast(T, config._values[self.name])

    @abstractmethod
    def parse(self, text: str, environ: Mapping[str, str]) -> T:
        """The value of `text`.

        Args:
            text: trimmed and not empty, unless the default is empty.
            environ: every key that is set, for values that name another key.

        Raises:
            BadValue: the text is no value of this setting.
        """

    def sentence(self, text: str, error: BadValue) -> str:
        """What is wrong with `text`, and what is expected, for the operator."""
        found = str(error) or f"is {'not usable' if self.secret else _shown(text)}"
        sentence = f"{self.name} {found}; expected {self.expected}"
        return f"{sentence}, for example {self.example}." if self.example else f"{sentence}."


class Text(Setting[str]):
    """Any text."""

    expected = "text"

    def parse(self, text: str, environ: Mapping[str, str]) -> str:
        return text


class Prefix(Setting[str]):
    """What a command begins with."""

    expected = "1 to 5 characters without a space"

    def parse(self, text: str, environ: Mapping[str, str]) -> str:
        if len(text) > 5 or any(character.isspace() for character in text):
            raise BadValue
        return text


class Key(Setting[str]):
    """A secret that travels in an HTTP header."""

    expected = "a key in one piece, as its provider shows it"

    def __init__(self, help: str) -> None:
        super().__init__("", help, secret=True)

    def parse(self, text: str, environ: Mapping[str, str]) -> str:
        if not re.fullmatch(r"[!-~]*", text):
            raise BadValue("contains spaces or characters that no key has")
        return text


class Token(Key):
    """The bot's token. Its form matters only where it is used: see `Config.problems`."""

    expected = "three parts joined by dots"

    def parse(self, text: str, environ: Mapping[str, str]) -> str:
        return text


class Language(Setting[str]):
    """A language tag (BCP 47)."""

    expected = "a language tag such as en, de or pt-BR"

    def parse(self, text: str, environ: Mapping[str, str]) -> str:
        if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", text):
            raise BadValue
        return text


class Flag(Setting[bool]):
    """Yes or no."""

    expected = "true or false"

    def parse(self, text: str, environ: Mapping[str, str]) -> bool:
        word = text.lower()
        if word not in _YES + _NO:
            raise BadValue
        return word in _YES


class Bounded(Setting[N]):
    """A number between two bounds, both included."""

    kind: str
    convert: Callable[[str], N]

    def __init__(self, default: str, help: str, *, at_least: N, at_most: N, unit: str = "") -> None:
        super().__init__(default, help)
        self.at_least: N = at_least
        self.at_most: N = at_most
        of_unit = f" of {unit}" if unit else ""
        self.expected = f"{self.kind}{of_unit} from {at_least:,} to {at_most:,}"

    def parse(self, text: str, environ: Mapping[str, str]) -> N:
        try:
            value = self.convert(text)
        except ValueError:
            raise BadValue from None
        if not self.at_least <= value <= self.at_most:  # false for "nan" too
            raise BadValue
        return value


class Number(Bounded[float]):
    """A number, whole or not."""

    kind = "a number"
    convert = float


class Whole(Bounded[int]):
    """A whole number."""

    kind = "a whole number"
    convert = int


class Choice(Setting[str]):
    """One of a few words; case does not matter."""

    def __init__(self, default: str, help: str, *, choices: tuple[str, ...]) -> None:
        super().__init__(default, help)
        self.choices = choices
        self.expected = f"one of {', '.join(choices)}"

    def parse(self, text: str, environ: Mapping[str, str]) -> str:
        for choice in self.choices:
            if text.lower() == choice.lower():
                return choice
        raise BadValue


class Url(Setting[str]):
    """An address without its last slash, or empty."""

    def __init__(self, help: str, *, example: str, schemes: tuple[str, ...]) -> None:
        super().__init__("", help, example=example)
        self.schemes = schemes
        self.expected = f"an address that begins with {' or '.join(f'{s}://' for s in schemes)}"

    def parse(self, text: str, environ: Mapping[str, str]) -> str:
        return _address(text, self.schemes) if text else ""


class Ids(Setting[frozenset[int]]):
    """Discord ids, separated by commas or spaces."""

    expected = "Discord ids (15 to 20 digits each) separated by commas"

    def __init__(self, help: str) -> None:
        super().__init__("", help, example="123456789012345678")

    def parse(self, text: str, environ: Mapping[str, str]) -> frozenset[int]:
        items = _items(text)
        for item in items:
            if not re.fullmatch(r"[0-9]{15,20}", item) or int(item) >= 2**64:
                raise BadValue(f"lists {_shown(item)}")
        return frozenset(map(int, items))


class Directory(Setting[Path]):
    """A directory, made when it is first needed."""

    expected = "a directory that can be written to"

    def parse(self, text: str, environ: Mapping[str, str]) -> Path:
        if "\0" in text:
            raise BadValue("contains a zero byte")
        return Path(os.path.expanduser(text))


class FallbackModels(Setting[tuple[FallbackModel, ...]]):
    """Models in the order in which they are tried."""

    expected = "model, model@address or model@address$NAME_OF_A_KEY, separated by commas"
    _ITEM = re.compile(r"(?P<model>.+?)@(?P<url>https?://[^$]*)(\$(?P<key>.*))?")

    def parse(self, text: str, environ: Mapping[str, str]) -> tuple[FallbackModel, ...]:
        main_url = environ.get("OPENAI_BASE_URL", "").rstrip("/")
        main_key = environ.get("OPENAI_API_KEY", "")
        models = []
        for item in _items(text):
            match = self._ITEM.fullmatch(item)
            if match is None:
                # A model's own name may hold an @, but no address and no key.
                if "://" in item or "$" in item or re.search(r".@.*[:/]", item):
                    raise BadValue(f"lists {_shown(item.partition('$')[0])}")
                models.append(FallbackModel(item, main_url, main_key))
                continue
            url = _address(match["url"], ("http", "https"))
            # The main key is sent to the main address and to no other.
            key = main_key if url == (main_url or OPENAI_DEFAULT_URL) else ""
            if match["key"] is not None:
                key = self._named_key(match["model"], match["key"], environ)
            models.append(FallbackModel(match["model"], url, key))
        return tuple(models)

    @staticmethod
    def _named_key(model: str, name: str, environ: Mapping[str, str]) -> str:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name):
            raise BadValue(f"has no name of a key after the $ of {_shown(model)}")
        key = environ.get(name, "").strip()
        if not key:
            raise BadValue(f"names {_shown(name)} for {_shown(model)}, which is not set")
        return key


class Config:
    """The settings: `Config.load()` for a set of them, `Config.KEY` for the process's own."""

    _discord = Section("Discord", "Where the bot lives and whom it answers.")
    DISCORD_TOKEN = Token("The bot's token, from the developer portal, page Bot, Reset Token.")
    COMMAND_PREFIX = Prefix("!", "What a typed command begins with; slash commands work as well.")
    OWNER_IDS = Ids("People who may use the owner's commands; empty: the application's owner.")
    ALLOWED_GUILD_IDS = Ids("Servers it answers in; empty: all.")
    ALLOWED_CHANNEL_IDS = Ids(
        "Channels or categories it answers in, with their threads; empty: all."
    )
    ALLOWED_ROLE_IDS = Ids("Roles it answers; empty: everyone.")
    BLOCKED_USER_IDS = Ids("People it never answers.")
    AUTO_REPLY_CHANNEL_IDS = Ids("Channels where it answers every message, without a mention.")
    AUTO_THREAD_CHANNEL_IDS = Ids("Channels where it answers a mention in a new thread.")
    DISCORD_API_URL = Url(
        "Address of the REST API; empty: Discord's.",
        example="http://127.0.0.1:8080/api/v10",
        schemes=("http", "https"),
    )
    DISCORD_GATEWAY_URL = Url(
        "Address of the gateway; empty: Discord's.",
        example="ws://127.0.0.1:8080/gateway",
        schemes=("ws", "wss"),
    )

    _model = Section("Language model", "Who writes the answers: any OpenAI-compatible API.")
    OPENAI_API_KEY = Key("The provider's key; a local server usually needs none.")
    OPENAI_BASE_URL = Url(
        "Address of the API; empty: OpenAI's.",
        example="http://127.0.0.1:11434/v1",
        schemes=("http", "https"),
    )
    LLM_MODEL = Text(
        "", "The model; empty: gpt-4.1-mini at OpenAI, else the first model the server lists."
    )
    LLM_FALLBACK_MODELS = FallbackModels(
        "",
        "Models to try in this order when the first one fails.",
        example="gpt-4.1-nano, llama3.2@http://127.0.0.1:11434/v1",
    )
    LLM_FAST_MODEL = Text(
        "", "A small, quick model of the same server for small talk; empty: one model for all."
    )
    LLM_SUMMARY_MODEL = Text(
        "", "Who sums up old conversation; empty: the fast model, else the main one."
    )
    LLM_TIMEOUT_SECONDS = Number(
        "60",
        "Longest wait for the first token, and between two tokens.",
        unit="seconds",
        at_least=1,
        at_most=600,
    )
    LLM_MAX_RESPONSE_TOKENS = Whole(
        "1000", "The longest answer.", unit="tokens", at_least=16, at_most=100_000
    )
    LLM_TEMPERATURE = Number(
        "0.7", "How freely the model chooses its words.", at_least=0, at_most=2
    )
    SYSTEM_PROMPT = Text(
        "You are a friendly, helpful assistant in a Discord server. Answer in the language of "
        "the question. Be brief: a few sentences unless more is asked for. Use Discord's "
        "Markdown where it helps, and put code in fenced blocks. Several people may write; "
        "keep apart who said what. Say so when you do not know something.",
        "Who the bot is and how it talks.",
    )

    _conversation = Section("Conversation", "How a reply appears and what it remembers.")
    RESPONSE_STREAMING_ENABLED = Flag(
        "true", "Show the reply while it is written; false: send it when it is finished."
    )
    STREAM_UPDATE_INTERVAL = Number(
        "1.5",
        "Time between two edits of a reply that is being written.",
        unit="seconds",
        at_least=0.5,
        at_most=10,
    )
    MESSAGE_BATCH_WINDOW_SECONDS = Number(
        "2",
        "How long after a message another one is answered with it; 0: each is answered alone.",
        unit="seconds",
        at_least=0,
        at_most=30,
    )
    NATURAL_TYPING_DELAY_ENABLED = Flag(
        "true", "Type for a moment before a reply that comes at once, as a person would."
    )
    MIN_TYPING_DELAY = Number(
        "0.5", "The shortest such moment.", unit="seconds", at_least=0, at_most=10
    )
    MAX_TYPING_DELAY = Number(
        "2.0", "The longest such moment.", unit="seconds", at_least=0, at_most=10
    )
    MAX_HISTORY_MESSAGES = Whole(
        "10",
        "Recent messages that go to the model word for word; older ones are summed up.",
        unit="messages",
        at_least=0,
        at_most=200,
    )
    MAX_CONTEXT_TOKENS = Whole(
        "2000",
        "Budget of a request without its answer.",
        unit="tokens",
        at_least=200,
        at_most=1_000_000,
    )

    _people = Section("People", "What is remembered of a person, and how much each may ask.")
    PROFILE_LEARNING_ENABLED = Flag(
        "true", "Learn a few facts from what people say about themselves; false: only when told to."
    )
    PROFILES_ACROSS_SERVERS = Flag(
        "false", "Use in one server what a person said about themselves in another one."
    )
    USER_REQUESTS_PER_MINUTE = Whole(
        "20",
        "Answers a person gets in a minute; 0: no limit.",
        unit="answers",
        at_least=0,
        at_most=1000,
    )
    USER_DAILY_TOKEN_LIMIT = Whole(
        "0",
        "Tokens a person may use in a day (UTC); 0: no limit.",
        unit="tokens",
        at_least=0,
        at_most=1_000_000_000,
    )
    GUILD_DAILY_TOKEN_LIMIT = Whole(
        "0",
        "Tokens a server may use in a day (UTC); 0: no limit.",
        unit="tokens",
        at_least=0,
        at_most=1_000_000_000,
    )

    _files = Section("Files and logs", "Where things are kept and what is told.")
    DATA_DIR = Directory("data", "State that must survive a restart.")
    HISTORY_DIR = Directory("data/history", "Conversations; empty: history inside DATA_DIR.")
    TEMP_DIR = Directory("temp", "Scratch files, deletable at any moment.")
    LOG_LEVEL = Choice(
        "INFO",
        "How much is logged.",
        choices=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    )
    LOG_FORMAT = Choice(
        "text", "text for people, json (an object a line) for machines.", choices=("text", "json")
    )

    _speech = Section("Speech", "How the bot sounds in voice channels.")
    TTS_PROVIDER = Choice(
        "auto",
        "Who speaks: kokoro (local), openai (a server), espeak (built in); auto: the first of "
        "these that can.",
        choices=("auto", "kokoro", "openai", "espeak"),
    )
    TTS_VOICE = Text("", "The provider's own name of a voice; empty: its usual one.")
    TTS_SPEED = Number("1", "How fast it speaks; 2 is twice as fast.", at_least=0.5, at_most=2)
    TTS_LANGUAGE = Language("en", "The language it speaks.")
    TTS_OPENAI_BASE_URL = Url(
        "Address of an OpenAI-compatible speech server; empty: OpenAI's.",
        example="http://127.0.0.1:8880/v1",
        schemes=("http", "https"),
    )
    TTS_OPENAI_API_KEY = Key("Its key; empty: OPENAI_API_KEY at OpenAI's own address, else none.")
    TTS_OPENAI_MODEL = Text("gpt-4o-mini-tts", "The model there.")
    KOKORO_DEVICE = Choice(
        "auto",
        "What Kokoro computes on; auto: cuda, then mps, then cpu.",
        choices=("auto", "cuda", "mps", "cpu"),
    )
    KOKORO_MODEL_DIR = Text(
        "", "A folder with Kokoro's model and voices; empty: downloaded once from its hub."
    )
    VOICE_IDLE_LEAVE_MINUTES = Number(
        "5",
        "How long it stays in a voice channel that everybody has left; 0: for ever.",
        unit="minutes",
        at_least=0,
        at_most=1440,
    )
    STREAMING_TTS_ENABLED = Flag("true", "Speak sentence by sentence while the reply is written.")
    TTS_SENTENCE_MIN_LENGTH = Whole(
        "20",
        "Shorter sentences are spoken together with the next.",
        unit="characters",
        at_least=1,
        at_most=1000,
    )
    TTS_SENTENCE_MAX_LENGTH = Whole(
        "200", "Longer sentences are split.", unit="characters", at_least=20, at_most=2000
    )
    TTS_CACHE_ENABLED = Flag("true", "Keep spoken phrases for the next time.")
    TTS_CACHE_SIZE_MB = Whole(
        "100",
        "Largest size of the phrase cache, in memory and again on disk.",
        unit="megabytes",
        at_least=1,
        at_most=100_000,
    )

    _house_keeping = Section(
        "House-keeping",
        "Read and checked now; the features arrive with house-keeping, until then no effect.",
    )
    MEMORY_CLEANUP_ENABLED = Flag("true", "Clean up temporary files and old conversations.")
    MEMORY_CLEANUP_INTERVAL_HOURS = Number(
        "6", "Time between two clean-ups.", unit="hours", at_least=0.1, at_most=720
    )
    MAX_TEMP_FILE_AGE_HOURS = Number(
        "24", "Older scratch files are deleted.", unit="hours", at_least=0.1, at_most=8760
    )
    MAX_HISTORY_AGE_DAYS = Number(
        "30", "Older conversations are archived.", unit="days", at_least=1, at_most=36_500
    )

    __slots__ = ("_bad", "_environ", "_file_problems", "_file_warnings", "_values")

    _of_process: Config | None = None

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read the settings from `environ` alone; `load` adds an env file."""
        self._environ = {key: text.strip() for key, text in environ.items()}
        self._values: dict[str, Any] = {}
        self._bad: dict[str, str] = {}
        self._file_problems: list[str] = []
        self._file_warnings: list[str] = []
        for _, setting in declarations():
            text = self._environ.get(setting.name) or setting.default
            try:
                self._values[setting.name] = setting.parse(text, self._environ)
            except BadValue as error:
                self._bad[setting.name] = setting.sentence(text, error)
                self._values[setting.name] = setting.parse(setting.default, self._environ)
        if not self._environ.get("HISTORY_DIR"):
            self._values["HISTORY_DIR"] = self.DATA_DIR / "history"

    @classmethod
    def load(
        cls, env_file: Path | None = Path(".env"), environ: Mapping[str, str] = os.environ
    ) -> Config:
        """The settings of `env_file`, if there is one, overruled by those of `environ`.

        A key that `environ` sets to nothing has its default, whatever the file says.
        """
        file = _EnvFile(env_file)
        config = cls({**file.values, **environ})
        config._file_problems = file.problems
        config._file_warnings = file.warnings
        return config

    @classmethod
    def of_process(cls) -> Config:
        """The settings of this process, read at the first call."""
        if Config._of_process is None:
            Config._of_process = cls.load()
        return Config._of_process

    def problems(self, require_discord: bool = True) -> list[str]:
        """Everything that keeps the bot from starting, one plain sentence each.

        Args:
            require_discord: whether the bot is to connect to Discord and to a model of
                the operator's, so that their keys must be there.
        """
        found = [*self._file_problems, *self._bad.values()]
        if require_discord:
            found += self._missing()
        for low, high in (
            ("MIN_TYPING_DELAY", "MAX_TYPING_DELAY"),
            ("TTS_SENTENCE_MIN_LENGTH", "TTS_SENTENCE_MAX_LENGTH"),
        ):
            if not {low, high} & self._bad.keys() and self._values[low] > self._values[high]:
                found.append(
                    f"{low} is {self._values[low]:g} and {high} is {self._values[high]:g}; "
                    f"expected {low} to be at most {high}, "
                    f"for example {low}={_default(low)} and {high}={_default(high)}."
                )
        if self.OPENAI_BASE_URL.endswith("/completions"):
            found.append(
                "OPENAI_BASE_URL ends with the path of one request; expected the address of "
                "the API without /chat/completions, for example https://openrouter.ai/api/v1."
            )
        return [*found, *self._directory_problems()]

    def warnings(self) -> list[str]:
        """What looks like a mistake and keeps nothing from starting."""
        found = list(self._file_warnings)
        if self.OPENAI_BASE_URL and not urlsplit(self.OPENAI_BASE_URL).path:
            found.append(
                f"OPENAI_BASE_URL is {self.OPENAI_BASE_URL}; most servers want a path, "
                f"for example {self.OPENAI_BASE_URL}/v1."
            )
        history = self._environ.get("HISTORY_DIR")
        if history == _default("HISTORY_DIR") and Path(_default("DATA_DIR")) != self.DATA_DIR:
            found.append(
                f"HISTORY_DIR is {history} while DATA_DIR is {self.DATA_DIR}; "
                "leave HISTORY_DIR empty to keep the conversations inside DATA_DIR."
            )
        return found

    def secrets(self) -> list[str]:
        """Every secret value, for the log to redact."""
        # As they were found: one that is too bad to use is still a secret.
        values = [self._environ.get(s.name, "") for _, s in declarations() if s.secret]
        values += [model.api_key for model in self.LLM_FALLBACK_MODELS]
        return sorted({value for value in values if value})

    def __repr__(self) -> str:
        shown = (
            f"{s.name}={'***' if s.secret and self._values[s.name] else self._values[s.name]!r}"
            for _, s in declarations()
        )
        return f"Config({', '.join(shown)})"

    def _missing(self) -> Iterator[str]:
        if not re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", self.DISCORD_TOKEN, re.ASCII):
            yield (
                f"DISCORD_TOKEN {_token_fault(self.DISCORD_TOKEN)}; expected the bot's token, "
                "three parts joined by dots, for example abc.def.ghi, from the page Bot of your "
                "application at https://discord.com/developers/applications."
            )
        if not {"OPENAI_API_KEY", "OPENAI_BASE_URL"} & self._bad.keys() and not (
            self.OPENAI_API_KEY or self.OPENAI_BASE_URL
        ):
            yield (
                "OPENAI_API_KEY and OPENAI_BASE_URL are both empty; expected a provider's key or "
                "the address of a server, for example OPENAI_BASE_URL=http://127.0.0.1:11434/v1."
            )

    def _directory_problems(self) -> Iterator[str]:
        temp = os.path.abspath(self.TEMP_DIR)
        names = ["DATA_DIR", "HISTORY_DIR", "TEMP_DIR"]
        if not self._environ.get("HISTORY_DIR"):
            names.remove("HISTORY_DIR")  # it shares the faults of DATA_DIR
        for name in names:
            path: Path = self._values[name]
            try:
                fault = _directory_fault(path)
            except OSError as error:
                fault = f"cannot be looked at ({error.strerror})"
            is_in_temp = Path(os.path.abspath(path)).is_relative_to(temp)
            if not fault and is_in_temp and name != "TEMP_DIR":
                fault = "lies inside TEMP_DIR, whose files are deleted"
            if fault:
                yield (
                    f"{name} is {_shown(str(path))}, which {fault}; expected a directory "
                    f"that can be written to, for example {_default(name)}."
                )


def declarations() -> Iterator[tuple[Section, Setting[Any]]]:
    """Every setting with its section, in the order of `Config`."""
    section = Section("", "")
    for declared in vars(Config).values():
        if isinstance(declared, Section):
            section = declared
        elif isinstance(declared, Setting):
            yield section, declared


def _default(name: str) -> str:
    return cast(Setting[Any], vars(Config)[name]).default


class _EnvFile:
    """What an env file says and what is wrong with it. A missing file says nothing."""

    def __init__(self, path: Path | None) -> None:
        self.values: dict[str, str] = {}
        self.problems: list[str] = []
        self.warnings: list[str] = []
        text = self._read(path) if path is not None else None
        if path is None or text is None:
            return
        line_of: dict[str, int] = {}
        # The parser alone: `dotenv_values` would log a bad line on its own.
        for binding in parse_stream(io.StringIO(text)):
            statement = binding.original.string
            blank = statement[: len(statement) - len(statement.lstrip())]
            line = binding.original.line + blank.count("\n")
            if binding.error or (binding.key is not None and binding.value is None):
                self.problems.append(
                    f"Line {line} of {path} cannot be read; "
                    "expected KEY=value, for example LOG_LEVEL=INFO."
                )
            elif binding.key is not None and binding.value is not None:
                if binding.key in line_of:
                    self.warnings.append(
                        f"{binding.key} is set on line {line_of[binding.key]} and again on "
                        f"line {line} of {path}; the last one counts."
                    )
                line_of[binding.key] = line
                # `KEY= # comment` is an empty value, though the parser keeps the comment.
                is_comment = re.match(r"[^=]*=[ \t]+#", statement)
                self.values[binding.key] = "" if is_comment else binding.value
        self.warnings += self._near_misses()

    def _read(self, path: Path) -> str | None:
        try:
            return path.read_bytes().decode("utf-8-sig")
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            self.problems.append(
                f"{path} is not UTF-8 text (byte {error.start + 1}); expected a text file saved "
                "as UTF-8, for example a copy of .env.example."
            )
        except OSError as error:
            what = "is a directory" if path.is_dir() else f"cannot be read ({error.strerror})"
            self.problems.append(
                f"{path} {what}; expected a text file, for example a copy of .env.example."
            )
        return None

    def _near_misses(self) -> Iterator[str]:
        known = [setting.name for _, setting in declarations()]
        named_keys = set(re.findall(r"\$(\w+)", self.values.get("LLM_FALLBACK_MODELS", "")))
        for key in sorted(self.values.keys() - named_keys - set(known)):
            for match in difflib.get_close_matches(key.upper(), known, 1, _NEAR_MISS_RATIO):
                yield f"{key} is not a setting; did you mean {match}?"


def _items(text: str) -> list[str]:
    return [item for item in re.split(r"[,\s]+", text) if item]


def _shown(text: str) -> str:
    """`text` for a message: on one line, short, without what may be a key."""
    line = _OPAQUE.sub("…", " ".join(text.split()))
    return f'"{line[:_SHOWN_CHARS]}{"…" if len(line) > _SHOWN_CHARS else ""}"'


def _address(text: str, schemes: tuple[str, ...]) -> str:
    """`text` without its last slash.

    Raises:
        BadValue: no absolute address of one of the schemes.
    """
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise BadValue from None
    if "@" in parts.netloc:
        raise BadValue("holds a user name or a password")
    if parts.query or parts.fragment:
        raise BadValue("holds a ? or a #")
    if parts.scheme not in schemes or not host or any(c.isspace() for c in text):
        raise BadValue
    return text.rstrip("/")


def _token_fault(token: str) -> str:
    """What a text that is no token looks like, without showing it."""
    if not token:
        return "is empty"
    if token.lower().startswith("bot"):
        return 'begins with the word "Bot", which does not belong to it'
    if token[0] in "\"'" or token[-1] in "\"'":
        return "is in quotes"
    if token.isdigit():
        return "is a number, perhaps the application's id"
    if "." not in token:
        return "has one part, perhaps it is the client secret or the public key"
    return "does not look like a token"


def _directory_fault(path: Path) -> str:
    """Why nothing can be written below `path`; empty when something can."""
    if path.is_dir():
        return "" if os.access(path, os.W_OK | os.X_OK) else "cannot be written to"
    if path.exists():
        return "is a file"
    for parent in path.absolute().parents:
        if parent.is_dir():
            return "" if os.access(parent, os.W_OK | os.X_OK) else "cannot be created"
        if parent.exists():
            return "lies below a file"
    return "cannot be created"


_GENERATED = "<!-- the tables are written by: python config.py --write-docs -->"
_GENERATED_END = "<!-- end of the tables -->"


def env_example() -> str:
    """The text of `.env.example`: every key with its default."""
    lines = [
        "# Settings of the bot. Copy this file to .env, fill in DISCORD_TOKEN and OPENAI_API_KEY",
        "# (or OPENAI_BASE_URL for a server of your own), and start the bot. An empty value means",
        "# the default; ids are listed with commas. docs/CONFIGURATION.md says more.",
        "# Written by: python config.py --write-docs",
    ]
    heading = None
    for section, setting in declarations():
        if section is not heading:
            heading = section
            lines += ["", f"# --- {section.title}: {section.line}"]
        value = f'"{setting.default}"' if " " in setting.default else setting.default
        note = f" ({setting.expected})" if isinstance(setting, (Bounded, Choice)) else ""
        lines += ["", f"# {setting.help}{note}", f"{setting.name}={value}"]
    return "\n".join(lines) + "\n"


def settings_tables() -> str:
    """The Markdown tables of every section, between their markers."""
    lines = [_GENERATED]
    heading = None
    for section, setting in declarations():
        if section is not heading:
            heading = section
            lines += ["", f"### {section.title}", "", section.line, ""]
            lines += ["| Key | Default | Value | Meaning |", "|---|---|---|---|"]
        default = f"`{setting.default}`" if setting.default else "empty"
        expected = f"{setting.expected}{', secret' if setting.secret else ''}"
        lines.append(f"| `{setting.name}` | {default} | {expected} | {setting.help} |")
    return "\n".join([*lines, "", _GENERATED_END])


def with_settings_tables(page: str) -> str:
    """`page` with the tables between its markers brought up to date."""
    before, _, rest = page.partition(_GENERATED)
    _, _, after = rest.partition(_GENERATED_END)
    return f"{before}{settings_tables()}{after}"


def _main() -> None:
    parser = argparse.ArgumentParser(description="The bot's settings.")
    parser.add_argument(
        "--write-docs",
        action="store_true",
        required=True,
        help="write .env.example and the tables of docs/CONFIGURATION.md",
    )
    parser.parse_args()
    here = Path(__file__).parent
    page = here / "docs" / "CONFIGURATION.md"
    (here / ".env.example").write_text(env_example(), encoding="utf-8", newline="\n")
    page.write_text(
        with_settings_tables(page.read_text(encoding="utf-8")), encoding="utf-8", newline="\n"
    )


if __name__ == "__main__":
    _main()
