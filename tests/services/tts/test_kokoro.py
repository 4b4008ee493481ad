"""Kokoro, the real code on the CPU: a model of the true architecture with random weights.

What it says is noise of the length that speech would have. One process serves most tests.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import tempfile
from array import array

import pytest
import pytest_asyncio
from aiohttp import web

from services.tts import kokoro as kokoro_module
from services.tts.kokoro import KokoroSpeech
from services.tts.kokoro_model import REPOSITORY
from services.tts.kokoro_process import ChildProcess
from services.tts.kokoro_worker import Kind
from services.tts.provider import (
    SpeechCutError,
    SpeechLanguageError,
    SpeechLoadingError,
    SpeechTimeoutError,
    SpeechUnavailableError,
    UnknownVoiceError,
)
from tests.services.tts.kokoro_files import IS_INSTALLED, VOICES, make_model
from tests.services.tts.sound import read, rms_dbfs

needs_kokoro = pytest.mark.skipif(not IS_INSTALLED, reason="torch and kokoro are not installed")
on_posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
shared = pytest.mark.asyncio(loop_scope="module")

SENTENCE = "Good morning, this is a sentence."
LONG = "This is a sentence of a very long story that nobody wants to hear until its end. " * 3
PATIENCE_S = 600.0  # longer than any pass takes on a busy machine


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("kokoro") / "model")


class Listener:
    """Told when it has become able to speak."""

    def __init__(self):
        self.ready = asyncio.Semaphore(0)

    def __call__(self):
        self.ready.release()


def provider(model_dir=None, **settings):
    listener = Listener()
    settings = {"hang_timeout_s": PATIENCE_S, "device": "cpu", **settings}
    return KokoroSpeech(model_dir=model_dir, on_ready=listener, **settings), listener


@contextlib.asynccontextmanager
async def loaded(model_dir, **settings):
    speech, listener = provider(model_dir, **settings)
    await speech.open()
    speech.prepare()
    try:
        await listener.ready.acquire()
        yield speech, listener
    finally:
        await speech.aclose()


def say(speech, text=SENTENCE, *, voice="", speed=2.0, language="en"):
    return speech.synthesize(text, voice=voice, speed=speed, language=language)


async def duration_s(speech, text=SENTENCE, **how):
    samples, rate_hz = await read(say(speech, text, **how))
    return len(samples) / 2 / rate_hz if samples else 0.0


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def started(monkeypatch):
    """What each process was started for."""
    purposes: asyncio.Queue[str] = asyncio.Queue()
    start = ChildProcess.start

    async def starting(child):
        await start(child)
        purposes.put_nowait(child._arguments[0])

    monkeypatch.setattr(ChildProcess, "start", starting)
    return purposes


class Network:
    """A listener in the hub's place that counts who calls."""

    def __init__(self):
        self.calls = 0

    async def count(self, reader, writer):
        self.calls += 1
        writer.close()


@pytest.fixture(scope="module")
def frames():
    """What the process said, as (kind, request)."""
    said = []
    hear = ChildProcess.frames

    async def recording(child):
        async for kind, number, content in hear(child):
            said.append((kind, number))
            yield kind, number, content

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ChildProcess, "frames", recording)
        yield said


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def network():
    network = Network()
    server = await asyncio.start_server(network.count, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_ENDPOINT", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            patch.setenv(name, f"http://127.0.0.1:{port}")
        patch.delenv("HF_HUB_OFFLINE", raising=False)
        yield network
    server.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def speech(model_dir, frames, network):
    async with loaded(model_dir) as (speech, _):
        yield speech


@needs_kokoro
class TestLoaded:
    """One process for all of these."""

    pytestmark = shared

    async def test_it_says_what_it_is(self, speech):
        assert speech.is_ready
        assert speech.voices == tuple(sorted(VOICES))
        assert speech.device.startswith("cpu, ")
        assert "kokoro-v1_0.pth" in speech.version

    async def test_a_sentence_is_sound_of_a_likely_length(self, speech):
        samples, rate_hz = await read(say(speech))
        assert rate_hz == 24_000
        assert 0.5 < len(samples) / 2 / rate_hz < 2.5
        assert rms_dbfs(array("h", samples)) > -60

    async def test_twice_the_speed_takes_about_half_as_long(self, speech):
        natural, fast, fastest = [await duration_s(speech, speed=x) for x in (1.0, 2.0, 100.0)]
        assert 0.3 * natural < fast < 0.8 * natural
        assert fastest == pytest.approx(fast, rel=0.1)

    async def test_long_text_comes_in_parts_and_none_is_lost(self, speech):
        one = await duration_s(speech, LONG[: len(LONG) // 3])
        assert await duration_s(speech, LONG) == pytest.approx(3 * one, rel=0.15)

    @pytest.mark.parametrize("how", [{"language": "es"}, {"language": "en-GB"}, {"language": ""}])
    async def test_it_speaks_its_languages(self, speech, how):
        assert await duration_s(speech, "Hola, Madrid.", **how) > 0.3

    @pytest.mark.parametrize("language", ["de", "ja-Xyzz", "../en", "\0", "x" * 100])
    async def test_what_it_cannot_speak_is_for_another_provider(self, speech, language):
        with pytest.raises(SpeechLanguageError) as refused:
            await read(say(speech, language=language))
        assert not refused.value.counts_against_provider

    @pytest.mark.parametrize(
        "voice", ["nosuch", "../voices/af_heart", "af_heart.pt", "/etc/passwd", "af_heart,am_adam"]
    )
    async def test_an_unknown_voice_is_refused(self, speech, voice):
        with pytest.raises(UnknownVoiceError):
            await read(say(speech, voice=voice))

    @pytest.mark.parametrize("text", ["", " \n\t", "\0\x01", "→ 😀 ♫", "...", "!?"])
    async def test_text_without_words_is_silence(self, speech, text):
        assert await duration_s(speech, text) == 0

    @pytest.mark.parametrize(
        "text",
        [
            "\x01 50P\x0195S hello\x00 there\x1b[0m",
            "<speak><break time='9999s'/></speak> hello",
            "[hello](/hˈO/) [[h@l'oU]] {hello} %s",
            "\ud800 a lone surrogate",
            "→" * 500 + " hello",
            "你好 नमस्ते hello",
        ],
        ids=["controls", "markup", "phonemes", "surrogate", "symbols", "scripts"],
    )
    async def test_odd_text_is_spoken_without_harm(self, speech, text):
        pid = speech.pid
        assert await duration_s(speech, text) > 0.1
        assert speech.pid == pid

    async def test_many_at_once_each_hear_their_own_words(self, speech):
        texts = ["word " * n for n in (1, 3, 9)]
        alone = [await duration_s(speech, text) for text in texts]
        together = await asyncio.gather(*(duration_s(speech, text) for text in texts))
        assert together == pytest.approx(alone, rel=0.1)

    async def test_closing_ends_what_runs_and_drops_what_waits(self, speech, frames):
        running = say(speech, LONG)
        await anext(running)
        waiting = asyncio.create_task(duration_s(speech, LONG))
        await asyncio.sleep(0)  # it has asked
        waiting.cancel()
        await running.aclose()
        frames.clear()
        assert await duration_s(speech, "Hello.") > 0  # the process has dealt with both
        numbers = [number for kind, number in frames if kind is Kind.DONE]
        _, waiting_number, own_number = numbers
        assert (Kind.SOUND, waiting_number) not in frames
        assert (Kind.SOUND, own_number) in frames

    async def test_the_network_is_not_asked_for_anything(self, speech, network):
        await duration_s(speech)
        assert network.calls == 0


@needs_kokoro
@on_posix
async def test_a_process_that_dies_is_told_and_started_again_but_not_for_ever(
    model_dir, caplog, monkeypatch
):
    monkeypatch.setattr(kokoro_module, "_MAX_STARTS", 2)
    async with loaded(model_dir) as (speech, listener):
        running = asyncio.create_task(read(say(speech, LONG)))
        await asyncio.sleep(0)  # it has asked
        speech._hang_timeout_s = 0.5  # of the next process
        os.kill(speech.pid, signal.SIGKILL)
        with pytest.raises(SpeechCutError) as cut:
            await running
        assert cut.value.retryable
        await listener.ready.acquire()

        pid = speech.pid
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(SpeechTimeoutError):
            await read(say(speech))
        await asyncio.wait((speech._running,))
        assert not is_running(pid)
        with pytest.raises(SpeechUnavailableError, match="hung"):
            await read(say(speech))
    deaths = [record for record in caplog.records if record.message == "kokoro process died"]
    assert [death.is_restarted for death in deaths] == [True, False]


@needs_kokoro
async def test_broken_weights_are_said_once_and_not_tried_again_and_again(model_dir, caplog):
    broken = model_dir.parent / "broken"
    (broken / "voices").mkdir(parents=True)
    (broken / "config.json").write_bytes((model_dir / "config.json").read_bytes())
    (broken / "kokoro-v1_0.pth").write_bytes(b"half a file")
    (broken / "voices" / "af_heart.pt").write_bytes(b"")
    speech, _ = provider(broken)
    await speech.open()
    with pytest.raises(SpeechLoadingError):
        await read(say(speech))
    await asyncio.wait((speech._running,))
    with pytest.raises(SpeechUnavailableError, match="loaded"):
        await read(say(speech))
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.message == "kokoro cannot be loaded"
    assert "Error" in record.reason
    await speech.aclose()


@needs_kokoro
@on_posix
async def test_closing_while_it_loads_leaves_no_process_and_no_file(
    model_dir, tmp_path, monkeypatch, started
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    speech, _ = provider(model_dir)
    await speech.open()
    speech.prepare()
    assert await started.get() == "speak"
    pid = speech.pid
    assert is_running(pid)
    await speech.aclose()
    assert not is_running(pid)
    assert list(tmp_path.iterdir()) == []
    await speech.aclose()


@needs_kokoro
async def test_the_process_ends_when_the_bot_is_gone(model_dir):
    child = ChildProcess("speak", "cpu", str(model_dir), is_offline=True)
    await child.start()
    process = child._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert await process.wait() == 0
    await child.aclose()


async def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(kokoro_module, "PACKAGES", ("no_such_package",))
    speech = KokoroSpeech()
    with pytest.raises(SpeechUnavailableError, match="no_such_package"):
        await speech.open()
    with pytest.raises(SpeechUnavailableError):
        await read(say(speech))
    assert not speech.is_ready


@needs_kokoro
async def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(SpeechUnavailableError, match=r"config\.json"):
        await KokoroSpeech(model_dir=tmp_path).open()


@needs_kokoro
async def test_no_process_is_started_before_somebody_listens(model_dir):
    speech, _ = provider(model_dir)
    await speech.open()
    assert (speech.pid, speech.is_ready, speech.device) == (0, False, "")
    await speech.aclose()


@needs_kokoro
async def test_without_files_an_offline_hub_is_not_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SpeechUnavailableError, match="HF_HUB_OFFLINE"):
        await KokoroSpeech().open()


class Hub:
    """The hub's three answers that a download needs; first it does not know the model."""

    REVISION = "0123456789abcdef0123456789abcdef01234567"

    def __init__(self, folder):
        self._folder = folder
        self.refusals = 2
        self.fetched = []

    def app(self):
        app = web.Application()
        app.router.add_get(f"/api/models/{REPOSITORY}{{tail:.*}}", self._describe)
        app.router.add_get(f"/{REPOSITORY}/resolve/{{revision}}/{{path:.*}}", self._send)
        return app

    def _files(self):
        return [path for path in self._folder.rglob("*") if path.is_file()]

    async def _describe(self, request):
        if self.refusals:
            self.refusals -= 1
            raise web.HTTPNotFound(headers={"X-Error-Code": "RepoNotFound"})
        files = [
            {
                "type": "file",
                "path": path.relative_to(self._folder).as_posix(),
                "rfilename": path.relative_to(self._folder).as_posix(),
                "size": path.stat().st_size,
                "oid": f"{number:040x}",
            }
            for number, path in enumerate(self._files())
        ]
        if "/tree/" in request.path:
            return web.json_response(files)
        return web.json_response({"id": REPOSITORY, "sha": self.REVISION, "siblings": files})

    async def _send(self, request):
        path = self._folder / request.match_info["path"]
        if request.method == "GET":
            self.fetched.append(request.match_info["path"])
        headers = {
            "ETag": f'"{self._files().index(path):040x}"',
            "X-Repo-Commit": self.REVISION,
        }
        return web.Response(body=path.read_bytes(), headers=headers)


@needs_kokoro
async def test_missing_files_are_fetched_in_the_background_and_then_loaded(
    model_dir, tmp_path, monkeypatch, caplog, started
):
    caplog.set_level(logging.INFO)
    hub = Hub(model_dir)
    (model_dir / "README.md").write_text("not wanted")
    runner = web.AppRunner(hub.app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    for name, value in {
        "HF_HOME": str(tmp_path),
        "HF_ENDPOINT": f"http://127.0.0.1:{port}",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    speech, _ = provider(download_retry_s=0.0)
    try:
        await speech.open()
        assert not speech.is_ready
        with pytest.raises(SpeechLoadingError):
            await read(say(speech))
        purposes = [await started.get() for _ in range(4)]
    finally:
        await speech.aclose()
        await runner.cleanup()
    assert purposes == ["download"] * 3 + ["speak"]
    assert sorted(hub.fetched) == sorted(
        ["config.json", "kokoro-v1_0.pth", *(f"voices/{name}.pt" for name in VOICES)]
    )
    said = [record.message for record in caplog.records]
    assert said.count("kokoro download failed") == 1
    assert said.count("kokoro download finished") == 1
    again = KokoroSpeech()
    await again.open()
    assert again.voices == tuple(sorted(VOICES))
    await again.aclose()
