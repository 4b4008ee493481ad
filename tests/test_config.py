"""Config: every bad key is told at once, no secret is shown, and nothing fails early."""

# Settings are written in capitals and are no constants for all that.
# ruff: noqa: SIM300

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import config as config_module
from config import BadValue, Config, FallbackModel, declarations

TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcDE.abcdefghijklmnopqrstuvwxyz0123456789AB"
ROOT = Path(config_module.__file__).parent

GUIDE_DEFAULTS = {
    "RESPONSE_STREAMING_ENABLED": "true",
    "STREAM_UPDATE_INTERVAL": "1.5",
    "MESSAGE_BATCH_WINDOW_SECONDS": "2",
    "MAX_HISTORY_MESSAGES": "10",
    "MAX_CONTEXT_TOKENS": "2000",
    "STREAMING_TTS_ENABLED": "true",
    "TTS_SENTENCE_MIN_LENGTH": "20",
    "TTS_SENTENCE_MAX_LENGTH": "200",
    "TTS_CACHE_ENABLED": "true",
    "TTS_CACHE_SIZE_MB": "100",
    "MEMORY_CLEANUP_ENABLED": "true",
    "MEMORY_CLEANUP_INTERVAL_HOURS": "6",
    "MAX_TEMP_FILE_AGE_HOURS": "24",
    "MAX_HISTORY_AGE_DAYS": "30",
    "NATURAL_TYPING_DELAY_ENABLED": "true",
    "MIN_TYPING_DELAY": "0.5",
    "MAX_TYPING_DELAY": "2.0",
    "COMMAND_PREFIX": "!",
    "DATA_DIR": "data",
    "HISTORY_DIR": "data/history",
    "TEMP_DIR": "temp",
    "LOG_FORMAT": "text",
}


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(**environ: str) -> Config:
    return Config.load(None, environ)


def problems(**environ: str) -> list[str]:
    """The problems of a configuration that is otherwise complete."""
    return load(**{"DISCORD_TOKEN": TOKEN, "OPENAI_API_KEY": "sk-x"} | environ).problems()


def only_problem(**environ: str) -> str:
    found = problems(**environ)
    assert len(found) == 1, found
    return found[0]


def env_file(text: str | bytes) -> Path:
    path = Path("settings.env")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# --- values


def test_the_guides_keys_have_its_defaults():
    declared = {setting.name: setting.default for _, setting in declarations()}
    assert {name: declared.get(name) for name in GUIDE_DEFAULTS} == GUIDE_DEFAULTS


def test_every_default_is_a_value_of_its_setting():
    for _, setting in declarations():
        setting.parse(setting.default, {})


def test_values_have_their_types():
    config = load(
        STREAM_UPDATE_INTERVAL=" 2 ",
        MAX_HISTORY_MESSAGES="4",
        OWNER_IDS="123456789012345678, 223456789012345678  323456789012345678",
        DATA_DIR="state",
        LOG_LEVEL="debug",
        OPENAI_BASE_URL="http://localhost:1234/v1/",
    )
    assert config.STREAM_UPDATE_INTERVAL == 2.0
    assert config.MAX_HISTORY_MESSAGES == 4
    assert config.OWNER_IDS == {123456789012345678, 223456789012345678, 323456789012345678}
    assert config.DATA_DIR == Path("state")
    assert config.LOG_LEVEL == "DEBUG"
    assert config.OPENAI_BASE_URL == "http://localhost:1234/v1"
    assert config.problems(require_discord=False) == []


@pytest.mark.parametrize("word", ["false", "no", "off", "0", "FALSE", "Off"])
def test_a_flag_takes_the_usual_words_for_no(word):
    assert load(TTS_CACHE_ENABLED=word).TTS_CACHE_ENABLED is False


@pytest.mark.parametrize("word", ["true", "yes", "on", "1", "TRUE", "", "  "])
def test_a_flag_takes_the_usual_words_for_yes_and_empty_is_the_default(word):
    assert load(TTS_CACHE_ENABLED=word).TTS_CACHE_ENABLED is True


def test_a_setting_cannot_be_assigned():
    with pytest.raises(AttributeError):
        load().MAX_TYPING_DELAY = 3.0  # type: ignore[misc]


def test_history_follows_the_data_directory_unless_it_is_set():
    assert load(DATA_DIR="/srv/bot").HISTORY_DIR == Path("/srv/bot/history")
    assert load(DATA_DIR="/srv/bot", HISTORY_DIR="old").HISTORY_DIR == Path("old")
    assert load().HISTORY_DIR == Path("data/history")


def test_a_history_left_behind_in_the_default_place_is_warned_of():
    (warning,) = load(DATA_DIR="state", HISTORY_DIR="data/history").warnings()
    assert warning.startswith("HISTORY_DIR is data/history while DATA_DIR is state;")


def test_a_home_directory_is_expanded(monkeypatch):
    monkeypatch.setenv("HOME", str(Path.cwd()))
    monkeypatch.setenv("USERPROFILE", str(Path.cwd()))
    assert load(DATA_DIR="~/bot").DATA_DIR == Path.cwd() / "bot"


# --- the env file and the process


def test_the_process_environment_wins_over_the_file():
    path = env_file("MAX_HISTORY_MESSAGES=3\nMAX_CONTEXT_TOKENS=300\nLLM_MODEL=filed\n")
    config = Config.load(path, {"MAX_HISTORY_MESSAGES": "4", "LLM_MODEL": ""})
    assert (config.MAX_HISTORY_MESSAGES, config.MAX_CONTEXT_TOKENS) == (4, 300)
    assert config.LLM_MODEL == ""


def test_a_missing_file_is_no_problem():
    config = Config.load(Path("nowhere/.env"), {})
    assert config.problems(require_discord=False) == []


def test_a_dollar_sign_and_a_hash_are_taken_literally():
    path = env_file('OPENAI_API_KEY=a${HOME}$b#c\nSYSTEM_PROMPT="# Be\\nkind"\nCOMMAND_PREFIX=#\n')
    config = Config.load(path, {})
    assert config.OPENAI_API_KEY == "a${HOME}$b#c"
    assert config.SYSTEM_PROMPT == "# Be\nkind"
    assert config.COMMAND_PREFIX == "#"


def test_a_comment_after_an_empty_value_is_not_the_value():
    config = Config.load(env_file("LLM_MODEL= # the model\nOPENAI_API_KEY=   # yours\n"), {})
    assert (config.LLM_MODEL, config.OPENAI_API_KEY) == ("", "")


def test_a_byte_order_mark_is_accepted():
    assert Config.load(env_file(b"\xef\xbb\xbfLLM_MODEL=m\r\n"), {}).LLM_MODEL == "m"


def test_a_file_that_is_not_utf_8_is_told():
    config = Config.load(env_file("LLM_MODEL=ä".encode("utf-16")), {})
    (problem,) = config.problems(require_discord=False)
    assert problem.startswith("settings.env is not UTF-8 text")


def test_a_directory_in_place_of_the_file_is_told():
    Path(".env").mkdir()
    (problem,) = Config.load(environ={}).problems(require_discord=False)
    assert problem.startswith(".env is a directory; expected a text file")


def test_a_line_that_cannot_be_read_is_told_without_its_content():
    config = Config.load(env_file("LLM_MODEL=m\n\n# x\nDISCORD_TOKEN secret\nOPENAI_API_KEY\n"), {})
    found = config.problems(require_discord=False)
    assert [sentence.split(";")[0] for sentence in found] == [
        "Line 4 of settings.env cannot be read",
        "Line 5 of settings.env cannot be read",
    ]
    assert "secret" not in "".join(found)


def test_a_misspelled_key_is_warned_of_with_its_likely_name():
    text = "STREAM_UPDATE_INTERVALL=1\ndiscord_token=x\nPATH_TO_MY_CAT=/cat\n"
    assert Config.load(env_file(text), {}).warnings() == [
        "STREAM_UPDATE_INTERVALL is not a setting; did you mean STREAM_UPDATE_INTERVAL?",
        "discord_token is not a setting; did you mean DISCORD_TOKEN?",
    ]


def test_the_key_of_a_fallback_is_not_taken_for_a_misspelling():
    text = "OPENAI_API_KEYS=k\nLLM_FALLBACK_MODELS=m@http://h/v1$OPENAI_API_KEYS\n"
    assert Config.load(env_file(text), {}).warnings() == []


def test_a_key_that_is_set_twice_is_warned_of():
    (warning,) = Config.load(env_file("LLM_MODEL=a\nLLM_MODEL=b\n"), {}).warnings()
    assert warning.startswith("LLM_MODEL is set on line 1 and again on line 2 of settings.env")


def test_a_base_url_without_a_path_is_warned_of():
    (warning,) = load(OPENAI_BASE_URL="http://localhost:11434").warnings()
    assert "http://localhost:11434/v1" in warning


# --- problems


def test_a_complete_configuration_has_no_problems():
    assert problems() == []
    assert problems(OPENAI_API_KEY="", OPENAI_BASE_URL="http://127.0.0.1:11434/v1") == []


def test_missing_token_and_missing_model_are_reported_together():
    found = load().problems()
    assert [sentence.split(";")[0] for sentence in found] == [
        "DISCORD_TOKEN is empty",
        "OPENAI_API_KEY and OPENAI_BASE_URL are both empty",
    ]
    assert load().problems(require_discord=False) == []


def test_every_problem_is_reported_at_once():
    found = problems(
        DISCORD_TOKEN="",
        STREAM_UPDATE_INTERVAL="fast",
        OWNER_IDS="bob",
        LOG_LEVEL="loud",
        MIN_TYPING_DELAY="3",
    )
    keys = {sentence.split()[0] for sentence in found}
    assert keys == {
        "DISCORD_TOKEN", "STREAM_UPDATE_INTERVAL", "OWNER_IDS", "LOG_LEVEL", "MIN_TYPING_DELAY",
    }  # fmt: skip


def test_a_problem_names_key_value_expectation_and_example():
    assert only_problem(STREAM_UPDATE_INTERVAL="fast") == (
        'STREAM_UPDATE_INTERVAL is "fast"; expected a number of seconds from 0.5 to 10, '
        "for example 1.5."
    )


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("STREAM_UPDATE_INTERVAL", "nan"),
        ("STREAM_UPDATE_INTERVAL", "inf"),
        ("STREAM_UPDATE_INTERVAL", "0.4"),
        ("STREAM_UPDATE_INTERVAL", "10.5"),
        ("STREAM_UPDATE_INTERVAL", "1,5"),
        ("MESSAGE_BATCH_WINDOW_SECONDS", "-1"),
        ("MAX_HISTORY_MESSAGES", "10.5"),
        ("MAX_HISTORY_MESSAGES", "9" * 5000),
        ("MAX_CONTEXT_TOKENS", "199"),
        ("LLM_MAX_RESPONSE_TOKENS", "15"),
        ("LLM_TEMPERATURE", "2.1"),
        ("RESPONSE_STREAMING_ENABLED", "maybe"),
        ("COMMAND_PREFIX", "a b"),
        ("COMMAND_PREFIX", "toolong"),
        ("OWNER_IDS", "bob"),
        ("OWNER_IDS", "42"),
        ("OWNER_IDS", "-123456789012345678"),
        ("OWNER_IDS", "99999999999999999999"),
        ("ALLOWED_GUILD_IDS", "123456789012345678;223456789012345678"),
        ("DISCORD_API_URL", "ftp://example.org"),
        ("DISCORD_API_URL", "discord.com/api"),
        ("DISCORD_GATEWAY_URL", "https://gateway.discord.gg"),
        ("OPENAI_BASE_URL", "http://"),
        ("OPENAI_BASE_URL", "http://h:99999/v1"),
        ("OPENAI_BASE_URL", "http://[::1/v1"),
        ("OPENAI_BASE_URL", "http://my host/v1"),
        ("OPENAI_BASE_URL", "http://h/v1?key=x"),
        ("OPENAI_BASE_URL", "http://h/v1/chat/completions"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("DATA_DIR", "a\0b"),
        ("LLM_FALLBACK_MODELS", "m@ftp://h/v1"),
        ("LLM_FALLBACK_MODELS", "m@localhost:1234/v1"),
        ("LLM_FALLBACK_MODELS", "m@http:///v1"),
        ("LLM_FALLBACK_MODELS", "m@http://h/v1$"),
        ("LLM_FALLBACK_MODELS", "m@http://h/v1$NOT_SET"),
        ("LLM_FALLBACK_MODELS", "m$KEY"),
    ],
)
def test_a_bad_value_is_told_once_and_reads_as_the_default(name, bad):
    assert only_problem(**{name: bad}).startswith(f"{name} ")
    if name in load(**{name: bad})._bad:
        assert getattr(load(**{name: bad}), name) == getattr(load(), name)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("MIN_TYPING_DELAY", "MAX_TYPING_DELAY"),
        ("TTS_SENTENCE_MIN_LENGTH", "TTS_SENTENCE_MAX_LENGTH"),
    ],
)
def test_a_minimum_above_its_maximum_is_told_once(low, high):
    large, small = ("3", "1") if "DELAY" in low else ("90", "30")
    assert f"{low} to be at most {high}" in only_problem(**{low: large, high: small})
    assert problems(**{low: small, high: small}) == []
    assert only_problem(**{low: "x", high: small}).startswith(f'{low} is "x"')


@pytest.mark.parametrize(
    ("token", "hint"),
    [
        ("", "is empty"),
        (f"Bot {TOKEN}", 'the word "Bot"'),
        (f'"{TOKEN}"', "is in quotes"),
        ("123456789012345678", "the application's id"),
        ("0a" * 32, "the client secret or the public key"),
        (TOKEN.replace(".", " . "), "does not look like a token"),
        ("a.b", "does not look like a token"),
    ],
)
def test_a_token_that_is_something_else_gets_a_hint_and_is_not_shown(token, hint):
    problem = only_problem(DISCORD_TOKEN=token)
    assert hint in problem
    assert "developers/applications" in problem
    assert TOKEN not in problem


def test_directories_that_cannot_be_used_are_told():
    Path("taken").write_text("a file")
    assert 'DATA_DIR is "taken", which is a file' in only_problem(DATA_DIR="taken")
    assert "lies below a file" in only_problem(TEMP_DIR="taken/deep/temp")
    assert "lies inside TEMP_DIR" in only_problem(DATA_DIR="temp/../temp/data")
    assert "cannot be looked at" in only_problem(HISTORY_DIR="x" * 300)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_directory_without_write_permission_is_told():
    Path("sealed").mkdir(mode=0o555)
    assert "cannot be written to" in only_problem(DATA_DIR="sealed")
    assert "cannot be created" in only_problem(DATA_DIR="sealed/data")


# --- fallback models


def test_fallback_models_keep_their_order_and_each_has_its_address_and_key():
    config = load(
        OPENAI_API_KEY="main-key",
        OPENAI_BASE_URL="https://main.example/v1",
        LLM_FALLBACK_MODELS=(
            "small, llama3.2:1b@http://127.0.0.1:11434/v1/ "
            "vendor/big@https://other.example/v1$OTHER_KEY,@cf/meta/llama,"
            "same@https://main.example/v1"
        ),
        OTHER_KEY="other-key",
    )
    assert config.problems(require_discord=False) == []
    assert config.LLM_FALLBACK_MODELS == (
        FallbackModel("small", "https://main.example/v1", "main-key"),
        FallbackModel("llama3.2:1b", "http://127.0.0.1:11434/v1", ""),
        FallbackModel("vendor/big", "https://other.example/v1", "other-key"),
        FallbackModel("@cf/meta/llama", "https://main.example/v1", "main-key"),
        FallbackModel("same", "https://main.example/v1", "main-key"),
    )


def test_the_main_key_goes_to_openai_when_openai_is_the_main_provider():
    (fallback,) = load(
        OPENAI_API_KEY="main-key", LLM_FALLBACK_MODELS="m@https://api.openai.com/v1"
    ).LLM_FALLBACK_MODELS
    assert fallback.api_key == "main-key"


# --- secrets


def test_secrets_lists_every_secret_once():
    config = load(
        DISCORD_TOKEN=TOKEN,
        OPENAI_API_KEY="main-key",
        LLM_FALLBACK_MODELS="a, b@http://h/v1$OTHER_KEY",
        OTHER_KEY="other-key",
    )
    assert config.secrets() == sorted([TOKEN, "main-key", "other-key"])
    assert load(OPENAI_API_KEY="has a space").secrets() == ["has a space"]
    assert load().secrets() == []


def test_no_secret_in_repr_problems_or_warnings():
    secret = "sk-proj-0123456789abcdefghij"
    config = load(
        DISCORD_TOKEN=f"Bot {secret}",
        OPENAI_API_KEY=f"{secret} x",
        OPENAI_BASE_URL=secret,
        LLM_MODEL="m",
        LLM_FALLBACK_MODELS=f"m@http://h/v1${secret}",
        DISCORD_API_URL=f"http://user:{secret}@h",
        OWNER_IDS=secret,
        TTS_CACHE_ENABLED=secret,
    )
    told = "\n".join([*config.problems(), *config.warnings()])
    assert len(config.problems()) == 7
    assert secret not in told
    keyed = load(
        DISCORD_TOKEN=secret, OPENAI_API_KEY=secret, K=secret, LLM_FALLBACK_MODELS="m@http://h/v1$K"
    )
    assert secret not in repr(keyed)
    assert "DISCORD_TOKEN='***'" in repr(keyed)


def test_a_long_bad_value_is_shown_shortened_on_one_line():
    problem = only_problem(LOG_LEVEL="loud\nand " * 50)
    assert "\n" not in problem
    assert len(problem) < 200


# --- the process's settings


def run_python(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "SYSTEMROOT", "HOME")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_class_access_reads_the_process_once_and_lazily_and_never_prints():
    Path(".env").write_text("TEMP_DIR=from_file\nbroken line\n", encoding="utf-8")
    code = (
        "import config, os\n"
        "os.environ['LLM_MODEL'] = 'late'\n"
        "values = config.Config.TEMP_DIR.name, config.Config.LLM_MODEL\n"
        "os.environ['LLM_MODEL'] = 'later'\n"
        "assert (*values, config.Config.LLM_MODEL, config.Config.STREAM_UPDATE_INTERVAL)"
        " == ('from_file', 'late', 'late', 1.5)\n"
    )
    done = run_python(code, STREAM_UPDATE_INTERVAL="nonsense")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --- declarations


def test_every_setting_has_one_line_of_help_and_a_section():
    for section, setting in declarations():
        assert section.title, setting.name
        assert re.fullmatch(r"[^\n]{5,100}\.", setting.help), setting.name


def test_every_example_is_a_value_of_its_setting():
    for _, setting in declarations():
        try:
            setting.parse(setting.example, {})
        except BadValue as error:
            pytest.fail(f"{setting.name}: {error}")


def test_the_env_example_reads_as_the_defaults():
    path = env_file(config_module.env_example())
    config = Config.load(path, {})
    assert config.problems(require_discord=False) == []
    assert config.warnings() == []
    assert repr(config) == repr(load())
