"""Personal data: what every store has of a person, shown, deleted and paused in one place.

A deletion outlives the process: who is to be forgotten stands on disk before the first store
begins and until the last one is done, and what a crash left over is finished at the next start.

    {"paused": [81384788765712384], "forgetting": []}

The pause list outlives a deletion, the id alone: the wish not to be kept is honoured after it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from services.atomic_write import replace_file
from services.errors import BotError

log = logging.getLogger(__name__)

_MAX_SAFE_INTEGER = 2**53 - 1  # of JSON readers that know floating point alone


class PersonalDataStore(Protocol):
    """A store that may hold something of a person's."""

    holds: str  # what it keeps, for how long, as one line of /privacy show

    async def export_user(self, user_id: int) -> Any:
        """Everything it has of the person, as JSON values; empty when there is nothing.

        Raises:
            OSError: the disk refused.
        """

    async def delete_user(self, user_id: int) -> int:
        """Remove everything it has of the person, from memory and disk.

        Returns:
            How many entries went.

        Raises:
            OSError: the disk refused; some of it may still be there.
        """


class ForgetError(BotError):
    """Not everything could be deleted."""

    sentence = "I could not delete everything. I will try again at my next start."


class ExportError(BotError):
    """Not everything could be read."""

    sentence = "I could not read everything that I have of you. Please try again later."


class PauseError(BotError):
    """The choice is in memory alone."""

    sentence = "I do so from now on, but could not write it down: tell me again after a restart."


class PersonalData:
    """The one owner of people's wishes about what is kept of them.

    Args:
        stores: everything that may hold something of a person's; they are asked in this order
            and are open before this is.
        path: of the file with the wishes; its directory is made when missing.
    """

    def __init__(self, *, stores: Sequence[PersonalDataStore], path: Path) -> None:
        self._stores = tuple(stores)
        self._path = path
        self._paused: set[int] = set()
        self._forgetting: set[int] = set()
        self._running: dict[int, asyncio.Task[int]] = {}  # deletions, by the person's id
        self._saving = asyncio.Lock()
        self._is_unread = False

    async def open(self) -> None:
        """Read the wishes, and finish the deletions that the last process did not."""
        await self._read()
        for user_id in sorted(self._forgetting):
            try:
                removed = await self.forget(user_id)
            except ForgetError as error:
                log.error("deletion could not be finished", extra={"detail": str(error)})
            else:
                log.info("deletion of an earlier run finished", extra={"entries": removed})

    async def aclose(self) -> None:
        """Wait for the deletions that are under way."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def is_paused(self, user_id: int) -> bool:
        """Whether nothing of what the person says may be kept.

        True as well while the person is being forgotten, and for everybody while the wishes
        cannot be read.
        """
        return self._is_unread or user_id in self._paused or user_id in self._forgetting

    async def pause(self, user_id: int, on: bool) -> None:
        """Stop keeping what the person says, or begin again.

        Raises:
            PauseError: the disk refused; it holds until the process ends.
        """
        (self._paused.add if on else self._paused.discard)(user_id)
        try:
            await self._save()
        except OSError as error:
            raise PauseError(f"the pause list cannot be written: {error}") from error

    async def export(self, user_id: int) -> bytes:
        """Everything there is of the person, as one JSON document a human can read.

        Raises:
            ExportError: a store could not be read.
        """
        document: dict[str, Any] = {
            "user_id": user_id,
            "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "paused": user_id in self._paused,
        }
        for store in self._stores:
            try:
                document[_name(store)] = await store.export_user(user_id)
            except OSError as error:
                raise ExportError(_failure(store, error)) from error
        return await asyncio.to_thread(_encoded, document)

    async def forget(self, user_id: int) -> int:
        """Remove everything there is of the person. Concurrent calls share one run.

        A caller that is cancelled does not stop it.

        Returns:
            How many entries went.

        Raises:
            ForgetError: a store failed; the others have deleted what they had.
        """
        task = self._running.get(user_id)
        if task is None:
            task = asyncio.create_task(self._forget(user_id), name="forget-user")
            self._running[user_id] = task
            task.add_done_callback(lambda _: self._running.pop(user_id))
        return await asyncio.shield(task)

    async def _forget(self, user_id: int) -> int:
        self._forgetting.add(user_id)
        failures, sentence = [], ForgetError.sentence
        try:
            await self._save()
        except OSError as error:
            failures.append(f"the intent cannot be written: {error}")
            sentence = "I could not delete everything. Please ask me again later."
        removed, deleted = 0, True
        for store in self._stores:
            try:
                removed += await store.delete_user(user_id)
            except Exception as error:  # one store's fault keeps nobody's words in the others
                deleted = False
                failures.append(_failure(store, error))
        if not deleted:
            raise ForgetError("; ".join(failures), sentence=sentence)
        self._forgetting.discard(user_id)
        try:
            await self._save()
        except OSError as error:
            # Unless a later write takes it off, the next start deletes what was said since.
            log.warning("deletion cannot be marked as done", extra={"error": str(error)})
        return removed

    def holdings(self) -> list[str]:
        """What is kept of people, one line a store."""
        return [store.holds for store in self._stores]

    # ------------------------------------------------------------------ the file

    async def _read(self) -> None:
        try:
            content = await asyncio.to_thread(_read_if_there, self._path)
        except OSError as error:
            self._is_unread = True
            log.error(
                "people's wishes about their data cannot be read, keeping nothing of anybody",
                extra={"path": str(self._path), "error": str(error)},
            )
            return
        if not content:
            return
        try:
            wishes = json.loads(content)
            paused, forgetting = (
                {int(user_id) for user_id in wishes[key]} for key in ("paused", "forgetting")
            )
        except (ValueError, KeyError, TypeError):
            aside = self._path.with_name(self._path.name + ".damaged")
            log.warning(
                "people's wishes about their data are damaged, set aside and begun anew",
                extra={"path": str(self._path), "set_aside": str(aside)},
            )
            await asyncio.to_thread(_set_aside, self._path, aside)
            return
        self._paused, self._forgetting = paused, forgetting

    async def _save(self) -> None:
        """Raises:
        OSError: the disk refused; the old file is still whole.
        """
        async with self._saving:
            if self._is_unread:
                raise OSError("it could not be read, and is not overwritten")
            wishes = {"paused": sorted(self._paused), "forgetting": sorted(self._forgetting)}
            await asyncio.to_thread(replace_file, self._path, json.dumps(wishes).encode())


def _read_if_there(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.read_bytes() if path.exists() else b""


def _set_aside(path: Path, aside: Path) -> None:
    try:
        path.replace(aside)
    except OSError:
        log.warning("it cannot be set aside, the next wish overwrites it")


def _name(store: PersonalDataStore) -> str:
    """A store's key in an export: `history` of HistoryStore."""
    words = re.findall(r"[A-Z][a-z0-9]*", type(store).__name__.removesuffix("Store"))
    return "_".join(word.lower() for word in words)


def _failure(store: PersonalDataStore, error: Exception) -> str:
    """For the operator, without the words that a store may have stumbled over."""
    what = error.strerror if isinstance(error, OSError) else None
    return f"{type(store).__name__}: {what or type(error).__name__}"


def _encoded(document: dict[str, Any]) -> bytes:
    text = json.dumps(_with_text_ids(document), ensure_ascii=False, indent=2)
    return text.encode("utf-8", "replace")


def _with_text_ids(value: Any) -> Any:
    """Whole numbers that some readers would round, as every id of Discord's is, become text."""
    if isinstance(value, dict):
        return {key: _with_text_ids(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_text_ids(item) for item in value]
    if isinstance(value, int) and abs(value) > _MAX_SAFE_INTEGER:
        return str(value)
    return value
