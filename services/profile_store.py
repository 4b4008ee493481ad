"""Profiles: what a person asked the bot to remember and what it learned of them.

Few facts and short ones, each with where it came from and when, in one small JSON file a
user, `<user id>.json`, written whole:

    {"next_id":2,"facts":[{"id":1,"text":"lives in Graz","kind":"fact","source":"learned",
                           "guild_id":9,"message_id":5,"at":1767225600.0}]}

A fact is used where it was said: one from a server in that server and in the person's own
direct messages, one from direct messages nowhere else, ever. With `across_servers` facts
from one server are used in the others.

Some things are never kept, whoever asks: keys, passwords, card and account numbers, e-mail
addresses, phone numbers. Others are kept only when the person asks for it: health, religion,
politics, sexuality, ethnicity, criminal records, addresses. Shapes and word lists of some
languages tell them: a filter, not a proof.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from services.atomic_write import replace_file
from services.errors import BotError
from services.never_kept import is_secret, is_sensitive
from services.profile_words import (
    asks_about_oneself,
    asks_for_language,
    asks_for_style,
    content_words,
    names_oneself,
)

log = logging.getLogger(__name__)

MAX_FACTS = 30
MAX_FACT_CHARS = 200
MAX_RELEVANT = 6
_MATCHED_FACTS_SHOWN = 3  # at least, of those that fit the message


class FactKind(StrEnum):
    """What a fact is about. All but FACT matter for every answer."""

    NAME = "name"  # how the person wants to be called
    LANGUAGE = "language"  # the language they want to be answered in
    PREFERENCE = "preference"  # how they want to be answered: "keep it short"
    FACT = "fact"


class FactSource(StrEnum):
    """How a fact came in."""

    REMEMBERED = "remembered"  # the person asked for it
    LEARNED = "learned"  # from what the person said


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing known of a person.

    Args:
        id: within the profile; never given twice.
        text: one line of at most MAX_FACT_CHARS: "lives in Graz".
        guild_id: the server it was said in; None: in direct messages.
        message_id: the message it came from; 0: a command.
        at: Unix seconds.
    """

    id: int
    text: str = field(repr=False)
    kind: FactKind
    source: FactSource
    guild_id: int | None
    message_id: int
    at: float


class ProfileError(BotError):
    """A profile was not changed."""


class NotKeptError(ProfileError):
    """The text is nothing that is kept."""

    sentence = "I do not keep that."


class ProfileFullError(ProfileError):
    """There is no room, and nothing that may give way."""

    sentence = (
        f"I already remember {MAX_FACTS} things about you; make room with /profile forget first."
    )


class ProfileDiskError(ProfileError):
    """The disk refused."""

    sentence = "My disk refuses right now, so I could not change what I know of you."


@dataclass(slots=True)
class _Profile:
    facts: list[Fact] = field(default_factory=list)
    next_id: int = 1
    is_changing: bool = False  # memory and disk differ
    words: dict[int, frozenset[str]] = field(default_factory=dict)  # of each fact, by its id

    def words_of(self, fact: Fact) -> frozenset[str]:
        if fact.id not in self.words:
            self.words[fact.id] = content_words(fact.text)
        return self.words[fact.id]

    def replace_facts(self, facts: list[Fact]) -> None:
        self.facts = facts
        self.words.clear()


class ProfileStore:
    """The one owner of the profiles' directory.

    Args:
        directory: made when missing.
        across_servers: facts said in one server are used in the others too.
        max_profiles: kept in memory; the least recently used leave first.
        clock: Unix seconds.
    """

    holds = (
        "Profile: what you asked me to remember and a few facts you told about yourself, until "
        "you remove them (/profile)"
    )

    def __init__(
        self,
        directory: Path,
        *,
        across_servers: bool = False,
        max_profiles: int = 1000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._across_servers = across_servers
        self._max_profiles = max_profiles
        self._clock = clock
        self._known: set[int] = set()  # people who have a file, or will as soon as the disk allows
        self._loaded: OrderedDict[int, _Profile] = OrderedDict()
        self._loading: dict[int, asyncio.Task[_Profile]] = {}
        self._change = asyncio.Lock()  # one at a time: changes are rare
        self._listeners: list[Callable[[int], None]] = []
        self._stoppers: list[Callable[[int], None]] = []
        self._disk_failing = False

    async def open(self) -> None:
        """Make the directory and learn who has a profile.

        Raises:
            OSError: the directory cannot be made or read.
        """
        self._known = await asyncio.to_thread(self._list_people)

    def _list_people(self) -> set[int]:
        self._directory.mkdir(parents=True, exist_ok=True)
        people = set()
        for path in self._directory.iterdir():
            name, _, ending = path.name.partition(".")
            if name.isdecimal() and ending == "json":
                people.add(int(name))
            elif name.isdecimal() and ending == "json.new":
                path.unlink(missing_ok=True)  # a write that a crash cut short
        return people

    async def aclose(self) -> None:
        """Write what the disk refused so far."""
        async with self._change:
            for user_id, profile in list(self._loaded.items()):
                if profile.is_changing:
                    await self._write(user_id, profile)

    def subscribe(self, listener: Callable[[int], None]) -> None:
        """Call `listener` with the person's id after each change of their profile."""
        self._listeners.append(listener)

    def stop_before_forgetting(self, stop: Callable[[int], None]) -> None:
        """Call `stop` with the person's id before all of their profile goes.

        Whoever is about to add to it stops there, so that nothing comes back afterwards.
        """
        self._stoppers.append(stop)

    # ------------------------------------------------------------------ reading

    async def facts(self, user_id: int) -> tuple[Fact, ...]:
        """Everything known of a person, oldest first."""
        profile = await self._readable(user_id)
        return tuple(profile.facts) if profile is not None else ()

    def peek(self, user_id: int) -> tuple[Fact, ...] | None:
        """`facts` without touching the disk; None when that would be needed."""
        if user_id in self._loaded:
            return tuple(self._loaded[user_id].facts)
        return None if user_id in self._known else ()

    async def relevant(self, user_id: int, text: str, *, guild_id: int | None) -> tuple[Fact, ...]:
        """What may be used in a place and matters for a message, best first.

        Args:
            text: the message.
            guild_id: the server it was said in; None: direct messages.
        """
        profile = await self._readable(user_id)
        if profile is None or not profile.facts:
            return ()
        usable = self._usable(profile.facts, guild_id)
        if not usable:
            return ()
        always = [fact for fact in usable if fact.kind is not FactKind.FACT]
        words, asks = content_words(text), asks_about_oneself(text)
        scores = {
            fact.id: len(words & profile.words_of(fact))
            for fact in usable
            if fact.kind is FactKind.FACT
        }
        matched = [fact for fact in usable if asks or scores.get(fact.id)]
        matched = [fact for fact in matched if fact.kind is FactKind.FACT]
        # Of equals the newer one is first; the sort keeps that order.
        matched.sort(key=lambda fact: scores[fact.id], reverse=True)
        room = MAX_RELEVANT - min(_MATCHED_FACTS_SHOWN, len(matched))
        return tuple([*always[:room], *matched][:MAX_RELEVANT])

    def _usable(self, facts: list[Fact], guild_id: int | None) -> list[Fact]:
        """The facts that may be used in a place: those said there first, then the newest.

        Of several names or languages, and of several facts with the same words, the first.
        """
        allowed = [
            fact
            for fact in facts
            if fact.guild_id == guild_id
            or (fact.guild_id is not None and (guild_id is None or self._across_servers))
        ]
        allowed.sort(key=lambda fact: (fact.guild_id == guild_id, fact.at, fact.id), reverse=True)
        first: dict[object, Fact] = {}
        for fact in allowed:
            first.setdefault(_attribute(fact.kind) or _normalised(fact.text), fact)
        usable = list(first.values())
        usable.sort(key=lambda fact: _attribute(fact.kind) is None)
        return usable

    # ------------------------------------------------------------------ changing

    async def remember(
        self,
        user_id: int,
        text: str,
        *,
        kind: FactKind,
        source: FactSource,
        guild_id: int | None,
        message_id: int,
    ) -> Fact:
        """Keep a fact; one with the same words, or an older name or language, gives way to it.

        A disk that refuses (said in the log) leaves it in memory until the next write.

        Raises:
            NotKeptError: it is nothing to keep.
            ProfileFullError: the person asked for everything that is there already.
            ProfileDiskError: the profile cannot be read.
        """
        text = _one_line(text)
        refusal = why_not_kept(text, kind=kind, source=source)
        if refusal is not None:
            raise NotKeptError("not kept", sentence=refusal)
        async with self._change:
            profile = await self._changeable(user_id)
            place = (_attribute(kind) or _normalised(text), guild_id)
            kept = [
                fact
                for fact in profile.facts
                if (_attribute(fact.kind) or _normalised(fact.text), fact.guild_id) != place
            ]
            same = [f for f in profile.facts if _normalised(f.text) == _normalised(text)]
            if any(f.source is FactSource.REMEMBERED and f not in kept for f in same):
                source = FactSource.REMEMBERED  # it was asked for once
            if len(kept) >= MAX_FACTS:
                learned = [fact for fact in kept if fact.source is FactSource.LEARNED]
                if not learned:
                    raise ProfileFullError("profile is full")
                kept.remove(min(learned, key=lambda fact: (fact.at, fact.id)))
            fact = Fact(
                profile.next_id, text, kind, source, guild_id, message_id, round(self._clock(), 3)
            )
            profile.next_id += 1
            profile.replace_facts([*kept, fact])
            self._known.add(user_id)
            await self._write(user_id, profile)
        self._tell(user_id)
        return fact

    async def forget(self, user_id: int, fact_id: int | None) -> int:
        """Remove one fact, or all of them with None.

        Returns:
            How many went.

        Raises:
            ProfileDiskError: the disk refused; it may be back after a restart.
        """
        if fact_id is None:
            self._stop(user_id)
        return await self._remove(user_id, lambda fact: fact_id in (None, fact.id))

    async def forget_messages(self, user_id: int, message_ids: Iterable[int]) -> int:
        """Remove what came from messages that were deleted. Returns and raises as `forget`."""
        gone = set(message_ids)
        return await self._remove(user_id, lambda fact: fact.message_id in gone)

    async def _remove(self, user_id: int, is_to_go: Callable[[Fact], bool]) -> int:
        if user_id not in self._known:
            return 0
        async with self._change:
            profile = await self._changeable(user_id)
            kept = [fact for fact in profile.facts if not is_to_go(fact)]
            gone, is_written = len(profile.facts) - len(kept), True
            if gone:
                profile.replace_facts(kept)
                is_written = await self._write(user_id, profile)
        if not gone:
            return 0
        self._tell(user_id)
        if not is_written:
            raise ProfileDiskError(
                "a removed fact is still on disk",
                sentence="It is gone for now, but my disk refuses: it may be back when I restart.",
            )
        return gone

    async def export_user(self, user_id: int) -> list[dict[str, Any]]:
        """Every fact of the person as JSON values.

        Raises:
            OSError: the disk refused.
        """
        return [asdict(fact) for fact in (await self._load(user_id)).facts]

    async def delete_user(self, user_id: int) -> int:
        """Remove a person's profile from memory and disk.

        Returns:
            How many facts went.

        Raises:
            OSError: the disk refused; some of it may still be there.
        """
        self._stop(user_id)
        async with self._change:
            try:
                profile = await self._load(user_id)
            except OSError:
                profile = _Profile()  # what cannot be read can go all the same
            gone = len(profile.facts)
            profile.replace_facts([])
            profile.is_changing = True  # nobody reads the file while it goes
            await asyncio.to_thread(self._unlink, user_id)
            self._known.discard(user_id)
            self._loaded.pop(user_id, None)
        self._tell(user_id)
        return gone

    def _unlink(self, user_id: int) -> None:
        path = self._path(user_id)
        for name in (path.name, f"{path.name}.new", f"{path.name}.damaged"):
            path.with_name(name).unlink(missing_ok=True)

    def _stop(self, user_id: int) -> None:
        for stop in self._stoppers:
            stop(user_id)

    def _tell(self, user_id: int) -> None:
        for listener in self._listeners:
            listener(user_id)

    # ------------------------------------------------------------------ disk and memory

    async def _readable(self, user_id: int) -> _Profile | None:
        """A profile; None, after one log record, while the disk refuses."""
        if user_id not in self._known:
            return None
        try:
            return await self._load(user_id)
        except OSError as error:
            self._disk_refused(error)
            return None

    async def _changeable(self, user_id: int) -> _Profile:
        try:
            profile = await self._load(user_id)
        except OSError as error:
            self._disk_refused(error)
            raise ProfileDiskError("a profile cannot be read") from error
        if user_id not in self._loaded:
            self._evict()
            self._loaded[user_id] = profile
        return profile

    async def _load(self, user_id: int) -> _Profile:
        """Raises:
        OSError: the disk refused.
        """
        profile = self._loaded.get(user_id)
        if profile is not None:
            self._loaded.move_to_end(user_id)
            return profile
        if user_id not in self._known:
            return _Profile()
        task = self._loading.get(user_id)
        if task is None:
            task = asyncio.create_task(self._read(user_id), name="profile-load")
            self._loading[user_id] = task
            task.add_done_callback(lambda _: self._loading.pop(user_id, None))
        return await asyncio.shield(task)

    async def _read(self, user_id: int) -> _Profile:
        profile = await asyncio.to_thread(_read_profile, self._path(user_id))
        self._evict()
        self._loaded[user_id] = profile
        return profile

    def _evict(self) -> None:
        """Make room for one more."""
        idle = [user_id for user_id, p in self._loaded.items() if not p.is_changing]
        for user_id in idle[: max(0, len(self._loaded) + 1 - self._max_profiles)]:
            del self._loaded[user_id]

    async def _write(self, user_id: int, profile: _Profile) -> bool:
        """Bring a profile to disk; until it is there it stays in memory, for nobody to read less.

        Returns:
            False when the disk refused (said in the log).
        """
        profile.is_changing = True
        content = {"next_id": profile.next_id, "facts": [asdict(fact) for fact in profile.facts]}
        data = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        writing = asyncio.create_task(
            asyncio.to_thread(replace_file, self._path(user_id), data.encode("utf-8", "replace"))
        )
        try:
            await asyncio.shield(writing)
        except OSError as error:
            self._disk_refused(error)
            return False
        except asyncio.CancelledError:
            # The next change has to wait for the thread, or the older write could come last.
            await asyncio.wait([writing])
            profile.is_changing = writing.exception() is not None
            raise
        profile.is_changing = False
        if self._disk_failing:
            self._disk_failing = False
            log.info("profiles can be written again")
        return True

    def _disk_refused(self, error: OSError) -> None:
        if not self._disk_failing:
            self._disk_failing = True
            log.error("a profile cannot be read or written", extra={"error": _reason(error)})

    def _path(self, user_id: int) -> Path:
        return self._directory / f"{int(user_id)}.json"


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _read_profile(path: Path) -> _Profile:
    """A profile from its file; a damaged one is set aside, a damaged fact passed over."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return _Profile()
    try:
        data = json.loads(content)
        entries, next_id = list(data["facts"]), int(data["next_id"])
    except (ValueError, KeyError, TypeError):
        log.warning("damaged profile set aside", extra={"file": f"{path.name}.damaged"})
        os.replace(path, path.with_name(f"{path.name}.damaged"))
        return _Profile()
    facts: dict[int, Fact] = {}
    for entry in entries:
        try:
            fact = _fact(entry)
            facts[fact.id] = fact
        except (ValueError, KeyError, TypeError):
            continue
    if len(facts) < len(entries):
        log.warning(
            "damaged facts of a profile passed over",
            extra={"file": path.name, "facts": len(entries) - len(facts)},
        )
    return _Profile(list(facts.values()), max([next_id, *(i + 1 for i in facts)]))


def _fact(entry: dict[str, Any]) -> Fact:
    guild_id = entry["guild_id"]
    return Fact(
        id=int(entry["id"]),
        text=_one_line(str(entry["text"]))[:MAX_FACT_CHARS],
        kind=FactKind(entry["kind"]),
        source=FactSource(entry["source"]),
        guild_id=None if guild_id is None else int(guild_id),
        message_id=int(entry["message_id"]),
        at=float(entry["at"]),
    )


def _one_line(text: str) -> str:
    """A text on one line, without characters that are not seen."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _attribute(kind: FactKind) -> FactKind | None:
    """The kind, if a person has only one of it."""
    return kind if kind in (FactKind.NAME, FactKind.LANGUAGE) else None


def _normalised(text: str) -> str:
    """The same for two texts that differ in case and punctuation alone."""
    return " ".join("".join(c if c.isalnum() else " " for c in text.casefold()).split())


def guess_kind(text: str) -> FactKind:
    """The kind of a fact in the person's own words, as well as phrases of many languages tell."""
    if names_oneself(text):
        return FactKind.NAME
    if asks_for_language(text):
        return FactKind.LANGUAGE
    return FactKind.PREFERENCE if asks_for_style(text) else FactKind.FACT


def why_not_kept(text: str, *, kind: FactKind, source: FactSource) -> str | None:
    """The sentence that says why a text is not kept; None for what may be."""
    if not any(c.isalnum() for c in text):
        return "There is nothing in it that I could remember."
    if is_secret(text):
        return (
            "I never keep passwords, keys, card or account numbers, e-mail addresses or phone "
            "numbers; better take that message away."
        )
    if len(text) > MAX_FACT_CHARS:
        return f"That is too long for me to remember: {MAX_FACT_CHARS} characters at most."
    # A name is a name: Christian, Jude.
    if source is FactSource.LEARNED and kind is not FactKind.NAME and is_sensitive(text):
        return "I keep that only when you ask me to."
    return None
