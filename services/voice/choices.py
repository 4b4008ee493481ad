"""What each server chose for the bot's voice: one small JSON file, written whole."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from services.atomic_write import replace_file
from services.errors import BotError
from services.voice.session import VoiceChoice

log = logging.getLogger(__name__)

SLOWEST, FASTEST = 0.5, 2.0


class VoiceNotSavedError(BotError):
    """The choice is in memory alone."""

    sentence = "I do so from now on, but could not write it down: tell me again after a restart."


class VoiceChoices:
    """The one owner of its file. {"<guild id>": {"provider": …, "voice": …, …}}"""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._choices: dict[int, VoiceChoice] = {}
        self._save_lock = threading.Lock()

    async def open(self) -> None:
        self._choices = await asyncio.to_thread(_read, self._path)

    def of(self, guild_id: int) -> VoiceChoice:
        return self._choices.get(guild_id, VoiceChoice())

    async def choose(self, guild_id: int, choice: VoiceChoice) -> None:
        """Raises:
        VoiceNotSavedError: it holds until the next restart only.
        """
        self._choices[guild_id] = choice
        try:
            await asyncio.to_thread(self._save)
        except OSError as error:
            raise VoiceNotSavedError(str(error)) from error

    def _save(self) -> None:
        with self._save_lock:  # whoever writes last writes the newest
            default = asdict(VoiceChoice())
            choices = {
                str(guild_id): {
                    key: value for key, value in asdict(choice).items() if value != default[key]
                }
                for guild_id, choice in self._choices.copy().items()
            }
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._path, json.dumps(choices, ensure_ascii=False, indent=0).encode())


def _read(path: Path) -> dict[int, VoiceChoice]:
    """What was chosen; a damaged file is set aside."""
    try:
        data = json.loads(path.read_bytes())
        return {int(guild_id): _choice(chosen) for guild_id, chosen in data.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        log.warning("choices of voices cannot be read", extra={"error": str(error)})
    except (ValueError, AttributeError, TypeError, RecursionError):
        aside = path.with_name(path.name + ".damaged")
        log.warning("damaged choices of voices set aside", extra={"file": aside.name})
        try:
            os.replace(path, aside)
        except OSError:
            pass  # the next choice replaces it
    return {}


def _choice(chosen: dict[str, Any]) -> VoiceChoice:
    """Raises:
    ValueError, TypeError: it is none.
    """
    known = {key: value for key, value in chosen.items() if key in _TYPES}
    for key, value in known.items():
        if not isinstance(value, _TYPES[key]) or (key == "speed" and isinstance(value, bool)):
            raise TypeError(key)
    if not SLOWEST <= known.get("speed", 1.0) <= FASTEST:  # true for "nan" too
        raise ValueError("speed")
    return VoiceChoice(**known)


_TYPES: dict[str, tuple[type, ...]] = {
    field.name: {"speed": (int, float), "speaks_answers": (bool,)}.get(field.name, (str,))
    for field in fields(VoiceChoice)
}
