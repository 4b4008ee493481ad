"""Personas: who the bot is in a channel. Each is a Markdown file, `<directory>/<name>.md`.

    ---
    name: tutor
    voice: af_heart
    temperature: 0.5
    greeting: What would you like to understand?
    ---
    You are a patient tutor …

The header and each of its lines may be missing; the body is the system prompt. A file that
cannot be used is passed over with one warning that names it and the reason. Which channel
chose which persona is kept in one JSON file, `{"<channel id>": "<name>"}`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.atomic_write import replace_file
from services.errors import BotError

log = logging.getLogger(__name__)

_MAX_FILE_BYTES = 16 * 1024
_MAX_SHOWN_CHARS = 1500  # of the names in a sentence
_NAME = re.compile(r"\w[\w .'-]{0,39}")
_KEYS = ("name", "voice", "temperature", "greeting")

_Stamp = tuple[str, int, int]  # a file's name, mtime in ns and size


@dataclass(frozen=True, slots=True)
class Persona:
    """Who the bot is.

    Args:
        name: 1 to 40 letters, digits, spaces and any of . ' - _; case does not matter.
        text: the system prompt.
        voice: what it speaks with; "" for the operator's choice.
        temperature: from 0 to 2; None for the operator's choice.
        greeting: what it says when it is chosen.
    """

    name: str
    text: str
    voice: str = ""
    temperature: float | None = None
    greeting: str = ""


class UnknownPersonaError(BotError):
    """Nobody of that name is there."""

    is_mistake = True

    def __init__(self, names: Iterable[str]) -> None:
        known = ", ".join(names)
        if len(known) > _MAX_SHOWN_CHARS:
            known = known[:_MAX_SHOWN_CHARS].rpartition(",")[0] + " and more"
        super().__init__("unknown persona", sentence=f"I do not know that one. I can be: {known}.")


class PersonaNotSavedError(BotError):
    """The choice is in force and lost with the process."""

    sentence = "That is who I am here now, but I could not save it: a restart will undo it."


class Personas:
    """The personas and which channel has which.

    Args:
        directory: where the files are; none there, or no directory, leaves the default alone.
        choices_file: made with the first choice; its directory, too.
        default: who the bot is where nobody was chosen.
    """

    def __init__(self, *, directory: Path, choices_file: Path, default: Persona) -> None:
        self._directory = directory
        self._choices_file = choices_file
        self._default = default
        self._personas = {default.name.casefold(): default}
        self._choices: dict[int, str] = {}
        self._stamps: list[_Stamp] = []
        self._save_lock = threading.Lock()

    async def open(self) -> None:
        """Read the files and the choices. What cannot be read is told in the log."""
        self._choices = await asyncio.to_thread(_read_choices, self._choices_file)
        await self.reload()

    async def reload(self) -> None:
        """Take in files that were added, edited or removed since they were read."""
        stamps = await asyncio.to_thread(_stamps, self._directory)
        if stamps == self._stamps:
            return
        found = await asyncio.to_thread(_read_personas, self._directory, stamps, self._default)
        self._personas = {persona.name.casefold(): persona for persona in found}
        self._stamps = stamps
        log.info("personas read", extra={"personas": len(found)})

    @property
    def default(self) -> Persona:
        return self._default

    def names(self) -> list[str]:
        """All names, the default's first."""
        return [persona.name for persona in self._personas.values()]

    def get(self, name: str) -> Persona | None:
        """The persona of that name, whatever its case."""
        return self._personas.get(name.strip().casefold())

    def of(self, channel_ids: Sequence[int]) -> Persona:
        """Who the bot is in a channel; the default when the one that was chosen is gone.

        Args:
            channel_ids: the most specific first: a thread, its channel.
        """
        for channel_id in channel_ids:
            if (name := self._choices.get(channel_id)) is not None:
                return self.get(name) or self._default
        return self._default

    async def use(self, channel_id: int, name: str) -> Persona:
        """Choose for a channel or thread; the default's name takes the choice back.

        Raises:
            UnknownPersonaError: there is none of that name.
            PersonaNotSavedError: the disk refused.
        """
        persona = self.get(name)
        if persona is None:
            raise UnknownPersonaError(self.names())
        if persona is self._default:
            self._choices.pop(channel_id, None)
        else:
            self._choices[channel_id] = persona.name
        try:
            await asyncio.to_thread(self._save)
        except OSError as error:
            raise PersonaNotSavedError(f"{self._choices_file}: {error}") from error
        return persona

    def _save(self) -> None:
        with self._save_lock:  # whoever writes last writes the newest
            choices = {str(channel_id): name for channel_id, name in self._choices.copy().items()}
            self._choices_file.parent.mkdir(parents=True, exist_ok=True)
            content = json.dumps(choices, ensure_ascii=False, indent=0)
            replace_file(self._choices_file, content.encode())


def _read_choices(path: Path) -> dict[int, str]:
    """What was chosen; a damaged file is set aside."""
    try:
        data = json.loads(path.read_bytes())
        return {int(channel_id): str(name) for channel_id, name in data.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        log.warning("choice of personas cannot be read", extra={"error": str(error)})
    except (ValueError, AttributeError, RecursionError):
        aside = path.with_name(path.name + ".damaged")
        log.warning("damaged choice of personas set aside", extra={"file": aside.name})
        try:
            os.replace(path, aside)
        except OSError:
            pass  # the next choice replaces it
    return {}


def _stamps(directory: Path) -> list[_Stamp]:
    """The files of a directory as they stand, in the order of their names."""
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".md"))
    except FileNotFoundError:
        return []
    except OSError as error:
        log.warning("personas cannot be listed", extra={"error": str(error)})
        return []
    return [_stamp(directory / name) for name in names if not name.startswith(".")]


def _stamp(path: Path) -> _Stamp:
    try:
        stat = path.stat()
    except OSError:
        return (path.name, 0, 0)  # reading it will tell why
    return (path.name, stat.st_mtime_ns, stat.st_size)


def _read_personas(directory: Path, stamps: list[_Stamp], default: Persona) -> list[Persona]:
    """The default and every file's persona, those passed over that cannot be used."""
    personas = [default]
    taken = {default.name.casefold()}
    for file_name, _, _ in stamps:
        try:
            persona = _read_persona(directory / file_name)
            if persona.name.casefold() in taken:
                raise ValueError(f"the name {persona.name} is taken")
        except (OSError, ValueError) as error:
            log.warning("persona passed over", extra={"file": file_name, "reason": str(error)})
            continue
        personas.append(persona)
        taken.add(persona.name.casefold())
    return personas


def _read_persona(path: Path) -> Persona:
    """Raises:
    OSError: the file cannot be read.
    ValueError: it is no persona; says why.
    """
    with path.open("rb") as file:
        content = file.read(_MAX_FILE_BYTES + 1)
    if len(content) > _MAX_FILE_BYTES:
        raise ValueError(f"it is larger than {_MAX_FILE_BYTES // 1024} KiB")
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    header: dict[str, str] = {}
    if lines and lines[0].strip() == "---":
        end = next((i for i, line in enumerate(lines) if i and line.strip() == "---"), None)
        if end is None:
            raise ValueError("its header has no second line of ---")
        header = _parse_header(lines[1:end])
        lines = lines[end + 1 :]
    text = "\n".join(lines).strip()
    if not text:
        raise ValueError("it has no text after the header")
    name = header.get("name") or path.stem
    if not _NAME.fullmatch(name):
        raise ValueError("its name is not 1 to 40 letters, digits, spaces and any of . ' - _")
    return Persona(
        name=name,
        text=text,
        voice=header.get("voice", ""),
        temperature=_parse_temperature(header.get("temperature", "")),
        greeting=header.get("greeting", ""),
    )


def _parse_header(lines: Sequence[str]) -> dict[str, str]:
    header: dict[str, str] = {}
    for line in filter(str.strip, lines):
        key, _, value = (part.strip() for part in line.partition(":"))
        if key not in _KEYS:
            raise ValueError(f"its header says {key[:40]!r}; expected {', '.join(_KEYS)}")
        if key in header:
            raise ValueError(f"its header says {key} twice")
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        header[key] = value
    return header


def _parse_temperature(text: str) -> float | None:
    if not text:
        return None
    try:
        temperature = float(text)
    except ValueError:
        temperature = -1.0
    if not 0 <= temperature <= 2:  # false for "nan" too
        raise ValueError("its temperature is not a number from 0 to 2")
    return temperature
