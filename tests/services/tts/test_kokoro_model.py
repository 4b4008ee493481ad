"""Finding Kokoro's files and voices by looking."""

import pytest

from services.tts.kokoro_model import (
    find_cached_model,
    find_model,
    is_hub_forbidden,
    language_letter,
    usual_voice,
)

REVISION = "abc123"
VOICES = ("af_bella", "af_heart", "bf_alice", "em_alex")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in (
        "HF_HOME",
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "XDG_CACHE_HOME",
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
    ):
        monkeypatch.delenv(name, raising=False)


def put_model(folder, *, voices=VOICES, leave_out=""):
    (folder / "voices").mkdir(parents=True)
    files = ["config.json", "kokoro-v1_0.pth", *(f"voices/{name}.pt" for name in voices)]
    for name in files:
        if name != leave_out:
            (folder / name).write_bytes(b"x")
    return folder


def put_cached_model(hub):
    repository = hub / "models--hexgrad--Kokoro-82M"
    put_model(repository / "snapshots" / REVISION)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(REVISION)


def test_a_folder_tells_its_voices_and_where_they_are(tmp_path):
    model = find_model(put_model(tmp_path / "model"))
    assert model.voices == VOICES
    assert model.voice_file("af_bella").is_file()


@pytest.mark.parametrize("voice", ["../config", "af_bella.pt", "", "nosuch"])
def test_no_name_leads_out_of_the_folder(tmp_path, voice):
    with pytest.raises(ValueError, match="not one of"):
        find_model(put_model(tmp_path / "model")).voice_file(voice)


@pytest.mark.parametrize(
    ("leave_out", "said"), [("config.json", "config.json"), ("kokoro-v1_0.pth", r"\*\.pth")]
)
def test_what_a_folder_lacks_is_named(tmp_path, leave_out, said):
    with pytest.raises(FileNotFoundError, match=said):
        find_model(put_model(tmp_path / "model", leave_out=leave_out))


def test_a_folder_without_voices_cannot_speak(tmp_path):
    with pytest.raises(FileNotFoundError, match="voices"):
        find_model(put_model(tmp_path / "model", voices=()))


def test_a_folder_that_is_not_there_lacks_everything(tmp_path):
    with pytest.raises(FileNotFoundError):
        find_model(tmp_path / "nowhere")


def test_other_weights_are_another_version(tmp_path):
    model = find_model(put_model(tmp_path / "model"))
    model.weights.write_bytes(b"longer")
    assert find_model(model.folder).version != model.version


@pytest.mark.parametrize(
    ("setting", "place"),
    [
        ("HF_HUB_CACHE", "."),
        ("HUGGINGFACE_HUB_CACHE", "."),
        ("HF_HOME", "hub"),
        ("XDG_CACHE_HOME", "huggingface/hub"),
    ],
)
def test_the_hub_cache_is_found_where_the_hub_client_keeps_it(
    tmp_path, monkeypatch, setting, place
):
    monkeypatch.setenv(setting, str(tmp_path))
    assert find_cached_model() is None
    put_cached_model(tmp_path / place)
    model = find_cached_model()
    assert model is not None
    assert model.voices == VOICES


@pytest.mark.parametrize(("value", "is_forbidden"), [("1", True), ("true", True), ("0", False)])
def test_the_operator_can_forbid_the_network(monkeypatch, value, is_forbidden):
    assert not is_hub_forbidden()
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert is_hub_forbidden() is is_forbidden


@pytest.mark.parametrize(
    ("language", "voice", "letter"),
    [
        ("", "af_heart", "a"),
        ("en", "af_heart", "a"),
        ("en", "bf_emma", "b"),
        ("en-US", "bf_emma", "a"),
        ("en-GB", "af_heart", "b"),
        ("en_gb", "", "b"),
        ("en-CA", "", "a"),
        ("pt-BR", "", "p"),
        ("es-MX", "", "e"),
        ("zh-Hans-CN", "", "z"),
        ("ja", "af_heart", "j"),
        ("de", "", ""),
        ("tlh", "", ""),
        ("../en", "", ""),
    ],
)
def test_a_language_is_spoken_as_its_tag_says(language, voice, letter):
    assert language_letter(language, voice=voice) == letter


@pytest.mark.parametrize(
    ("letter", "preferred", "voice"),
    [
        ("a", "af_heart", "af_heart"),
        ("a", "af_bella", "af_bella"),
        ("a", "nosuch", "af_heart"),
        ("a", "bf_alice", "bf_alice"),
        ("b", "nosuch", "bf_alice"),
        ("e", "af_heart", "em_alex"),
        ("f", "af_heart", "af_heart"),
        ("f", "nosuch", ""),
    ],
)
def test_who_speaks_when_nobody_was_chosen(letter, preferred, voice):
    assert usual_voice(letter, VOICES, preferred=preferred) == voice
