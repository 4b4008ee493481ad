"""Where Kokoro's files are and what they can speak, found out by looking, never by the network.

A folder holds `config.json`, the weights (`*.pth`) and `voices/*.pt`. The hub's cache keeps such
a folder for each revision that it has fetched. A voice's name begins with the letter of the
language it was recorded in: "bf_emma" is British.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

REPOSITORY = "hexgrad/Kokoro-82M"

_CONFIG, _WEIGHTS, _VOICES = "config.json", "*.pth", "voices/*.pt"
DOWNLOADED = (_CONFIG, _WEIGHTS, _VOICES)

PACKAGES = ("kokoro", "torch")
SPACY_MODEL = "en_core_web_sm"  # for Kokoro's own English; without it eSpeak's phonemes serve

PACKAGES_OF_LANGUAGES = {
    "j": ("pyopenjtalk", "fugashi", "jaconv", "mojimoji", "unidic"),
    "z": ("pypinyin", "cn2an", "jieba"),
}

_LETTERS = {
    "en": "a",
    "en-us": "a",
    "en-gb": "b",
    "en-ie": "b",
    "en-au": "b",
    "en-nz": "b",
    "es": "e",
    "fr": "f",
    "hi": "h",
    "it": "i",
    "ja": "j",
    "pt": "p",
    "zh": "z",
}
_BEST_VOICES = {
    "a": "af_heart",
    "b": "bf_emma",
    "e": "ef_dora",
    "f": "ff_siwis",
    "h": "hf_alpha",
    "i": "if_sara",
    "j": "jf_alpha",
    "p": "pf_dora",
    "z": "zf_xiaoxiao",
}


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A folder that can be loaded.

    Attributes:
        version: of the weights; others have another name, size or time.
        voices: their names, sorted.
    """

    folder: Path
    weights: Path
    version: str
    voices: tuple[str, ...]

    def voice_file(self, voice: str) -> Path:
        """Of one of `voices`, so that no name leads out of the folder."""
        if voice not in self.voices:
            raise ValueError("not one of the voices")
        return self.folder / "voices" / f"{voice}.pt"


def find_model(folder: Path) -> ModelFiles:
    """What the folder holds.

    Raises:
        FileNotFoundError: something is missing; the message says what.
    """
    weights = sorted(folder.glob(_WEIGHTS))
    voices = tuple(sorted(path.stem for path in folder.glob(_VOICES)))
    missing = [
        name
        for name, is_there in (
            (_CONFIG, (folder / _CONFIG).is_file()),
            (_WEIGHTS, weights and weights[0].is_file()),
            (_VOICES, voices),
        )
        if not is_there
    ]
    if missing:
        raise FileNotFoundError(f"{folder} has no {', no '.join(missing)}")
    status = weights[0].stat()
    version = f"{weights[0].name}/{status.st_size}/{status.st_mtime_ns:x}"
    return ModelFiles(folder, weights[0], version, voices)


def find_cached_model() -> ModelFiles | None:
    """The model in the hub's cache; None when it is not there, or not whole."""
    repository = _hub_cache() / f"models--{REPOSITORY.replace('/', '--')}"
    try:
        revision = (repository / "refs" / "main").read_text().strip()
        return find_model(repository / "snapshots" / revision)
    except OSError:
        return None


def _hub_cache() -> Path:
    """As the package huggingface_hub finds it."""
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if named:
        return Path(os.path.expandvars(named)).expanduser()
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{caches}/huggingface"
    return Path(os.path.expandvars(home)).expanduser() / "hub"


def is_hub_forbidden() -> bool:
    """Whether the operator has told the hub's client to stay off the network."""
    wanted = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return wanted.upper() in {"1", "ON", "YES", "TRUE"}


def missing_packages(names: Iterable[str]) -> list[str]:
    """Looked up, not imported."""
    return [name for name in names if find_spec(name) is None]


def language_letter(language: str, *, voice: str = "") -> str:
    """Kokoro's letter for a BCP 47 tag; "" when it does not speak the language.

    English without a country is British in a British voice.
    """
    tag = language.replace("_", "-").lower() or "en"
    if tag == "en" and voice[:1] == "b":
        return "b"
    return _LETTERS.get(tag) or _LETTERS.get(tag.split("-")[0], "")


def usual_voice(letter: str, voices: Iterable[str], *, preferred: str) -> str:
    """Who speaks a language when nobody was chosen; "" when no voice is there."""
    own = [name for name in voices if name[:1] == letter]
    if letter in "ab":  # both are English
        own += [name for name in voices if name[:1] in "ab"]
    for name in (preferred, _BEST_VOICES[letter]):
        if name in own:
            return name
    return own[0] if own else next((name for name in voices if name == preferred), "")
