"""Usage: how many answers and tokens went to each person, server and model, and what is too many.

One file a UTC day, `<directory>/<YYYY-MM-DD>.json`; four numbers an entry: answers, prompt
tokens, those of them from the provider's cache, completion tokens.

    {
      "users": {"5": [12, 30000, 21000, 2400]},
      "guilds": {"10": [12, 30000, 21000, 2400]},
      "models": {"gpt-4.1-mini": [12, 30000, 21000, 2400]}
    }

Today is counted in memory and written in the background; a killed process forgets a few
seconds. A refusal by a quota is one sentence that says when it opens again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from services.atomic_write import remove_unfinished, replace_file
from services.background import BackgroundTasks
from services.errors import BotError
from services.llm import Written

log = logging.getLogger(__name__)

BOT_ITSELF = 0  # the user id of work that nobody asked for, such as summaries
WRITE_INTERVAL_S = 10.0

_LAST_WRITE_S = 5.0
_MINUTE_S = 60.0
_DAY_S = 24 * 60 * 60
_REFUSALS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Tally:
    """What was used. `cached_tokens` are part of `prompt_tokens`."""

    answers: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.answers + other.answers,
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
        )


NOTHING = Tally()


@dataclass(frozen=True, slots=True)
class Tallies:
    """Usage of one day or of several, by person, by server and by model."""

    users: dict[int, Tally] = field(default_factory=dict)
    guilds: dict[int, Tally] = field(default_factory=dict)
    models: dict[str, Tally] = field(default_factory=dict)

    @property
    def total(self) -> Tally:
        return sum(self.models.values(), NOTHING)

    def of_user(self, user_id: int) -> Tally:
        return self.users.get(user_id, NOTHING)

    def top_users(self, count: int) -> list[tuple[int, Tally]]:
        """The people who used most tokens, the bot itself not among them."""
        people = [(user_id, tally) for user_id, tally in self.users.items() if user_id]
        return sorted(people, key=lambda entry: (-entry[1].tokens, entry[0]))[:count]

    def top_models(self, count: int) -> list[tuple[str, Tally]]:
        return sorted(self.models.items(), key=lambda entry: (-entry[1].tokens, entry[0]))[:count]

    def add(self, other: Tallies) -> None:
        for mine, theirs in (
            (self.users, other.users),
            (self.guilds, other.guilds),
            (self.models, other.models),
        ):
            _add_all(mine, theirs)

    def copy(self) -> Tallies:
        return Tallies(self.users.copy(), self.guilds.copy(), self.models.copy())

    def to_json(self) -> bytes:
        data = {
            kind: {
                str(key): (t.answers, t.prompt_tokens, t.cached_tokens, t.completion_tokens)
                for key, t in entries.items()
            }
            for kind, entries in (
                ("users", self.users),
                ("guilds", self.guilds),
                ("models", self.models),
            )
        }
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Raises:
        ValueError, KeyError, TypeError, AttributeError: it is no such file.
        """
        data = json.loads(content)
        return cls(
            users={int(key): _tally(value) for key, value in data["users"].items()},
            guilds={int(key): _tally(value) for key, value in data["guilds"].items()},
            models={str(key): _tally(value) for key, value in data["models"].items()},
        )


class UsageStore:
    """The one owner of the usage directory.

    Args:
        directory: made when missing.
        clock: Unix seconds.
        days_kept: today among them; older files are deleted.
    """

    def __init__(
        self, directory: Path, *, clock: Callable[[], float] = time.time, days_kept: int = 31
    ) -> None:
        self._directory = directory
        self._clock = clock
        self._days_kept = days_kept
        self.holds = f"How many answers and tokens you used each day, for {days_kept} days."
        self._days: dict[date, Tallies] = {}  # today, yesterday, and what is not written yet
        self._unwritten: set[date] = set()
        self._writer: asyncio.Task[None] | None = None
        self._tasks = BackgroundTasks()
        self._closing = asyncio.Event()
        self._file_lock = threading.Lock()  # held by the thread at the files
        self._disk_failing = False
        self._known_damaged: set[Path] = set()

    @property
    def days_kept(self) -> int:
        return self._days_kept

    async def open(self) -> None:
        """Take up today's count. What the disk refuses is told in the log."""
        today = self._today()
        try:
            self._days = await asyncio.to_thread(self._open_files, today)
        except OSError as error:
            self._disk_failing = True
            log.error("usage cannot be read, counting anew", extra={"error": str(error)})

    def _open_files(self, today: date) -> dict[date, Tallies]:
        self._directory.mkdir(parents=True, exist_ok=True)
        remove_unfinished(self._directory)
        self._delete_old_files(today)
        recent = (today, today - timedelta(days=1))
        return {day: tallies for day, tallies in self._read_files() if day in recent}

    async def aclose(self) -> None:
        """Write what is not written yet."""
        self._closing.set()
        if self._unwritten:
            self._write_later()
        await self._tasks.aclose(grace_s=_LAST_WRITE_S)

    # ------------------------------------------------------------------ counting

    def record(
        self,
        *,
        user_id: int,
        guild_id: int | None,
        answers: int,
        model: str,
        prompt_tokens: int,
        completion_tokens: int,
        cached_tokens: int = 0,
    ) -> None:
        """Count one request to a model; on the event loop.

        Args:
            user_id: who is answered; BOT_ITSELF for work of the bot's own.
            guild_id: None in direct messages.
            answers: 0 when it led to none: a burst that went on, work of the bot's own.
            cached_tokens: those of the prompt that the provider had in its cache.
        """
        used = Tally(answers, prompt_tokens, cached_tokens, completion_tokens)
        day = self._today()
        tallies = self._days.setdefault(day, Tallies())
        _add_all(tallies.users, {user_id: used})
        if guild_id is not None:
            _add_all(tallies.guilds, {guild_id: used})
        _add_all(tallies.models, {model: used})
        self._unwritten.add(day)
        self._write_later()

    def record_written(self, written: Written) -> None:
        """Count a text of the bot's own, as far as the provider told its tokens."""
        if written.usage is not None:
            self.record(
                user_id=BOT_ITSELF,
                guild_id=None,
                answers=0,
                model=written.model,
                prompt_tokens=written.usage.prompt_tokens,
                cached_tokens=written.usage.cached_tokens,
                completion_tokens=written.usage.completion_tokens,
            )

    # ------------------------------------------------------------------ asking

    def user_today(self, user_id: int) -> Tally:
        return self._of_today().of_user(user_id)

    def guild_today(self, guild_id: int) -> Tally:
        return self._of_today().guilds.get(guild_id, NOTHING)

    def today(self) -> Tallies:
        """Today's usage as it stands now."""
        return self._of_today().copy()

    async def kept_days(self) -> Tallies:
        """Usage of all days that are kept, today among them."""
        in_memory = {day: tallies.copy() for day, tallies in self._days.items()}
        return await asyncio.to_thread(self._sum, in_memory, self._first_day_kept(self._today()))

    def _sum(self, in_memory: Mapping[date, Tallies], first_day: date) -> Tallies:
        total = Tallies()
        for day, tallies in in_memory.items():
            if day >= first_day:
                total.add(tallies)
        try:
            with self._file_lock:
                for day, tallies in self._read_files():
                    if day >= first_day and day not in in_memory:
                        total.add(tallies)
        except OSError as error:
            log.warning("usage of earlier days cannot be read", extra={"error": str(error)})
        return total

    # ------------------------------------------------------------------ personal data

    async def export_user(self, user_id: int) -> dict[str, dict[str, int]]:
        """What they used, by day.

        Raises:
            OSError: the disk refused.
        """
        days = await asyncio.to_thread(self._user_on_disk, user_id)
        for day, tallies in self._days.items():
            if user_id in tallies.users:
                days[day] = tallies.users[user_id]
        return {day.isoformat(): asdict(tally) for day, tally in sorted(days.items())}

    def _user_on_disk(self, user_id: int) -> dict[date, Tally]:
        with self._file_lock:
            return {
                day: tallies.users[user_id]
                for day, tallies in self._read_files()
                if user_id in tallies.users
            }

    async def delete_user(self, user_id: int) -> int:
        """Remove their count from every day; what servers and models used in all stays.

        Returns:
            From how many days it went.

        Raises:
            OSError: the disk refused; some of it may still be there.
        """
        days = {day for day, tallies in self._days.items() if tallies.users.pop(user_id, None)}
        return len(days | await asyncio.to_thread(self._delete_from_files, user_id))

    def _delete_from_files(self, user_id: int) -> set[date]:
        days = set()
        with self._file_lock:
            for day, tallies in self._read_files(delete_damaged=True):
                if tallies.users.pop(user_id, None) is not None:
                    replace_file(self._path(day), tallies.to_json())
                    days.add(day)
        return days

    # ------------------------------------------------------------------ files

    def _write_later(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = self._tasks.start(self._keep_writing(), name="usage-write")

    async def _keep_writing(self) -> None:
        """Write every few seconds until nothing has changed, or the disk refuses."""
        while self._unwritten:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WRITE_INTERVAL_S):
                    await self._closing.wait()
            days, self._unwritten = self._unwritten, set()
            try:
                await asyncio.to_thread(self._write_files, days, self._today())
            except OSError as error:
                self._unwritten |= days
                if not self._disk_failing:
                    self._disk_failing = True
                    log.error(
                        "usage cannot be written, keeping it in memory",
                        extra={"error": str(error)},
                    )
                return  # the next answer tries again
            if self._disk_failing:
                self._disk_failing = False
                log.info("usage can be written again")
            self._forget_written_days()

    def _write_files(self, days: set[date], today: date) -> None:
        with self._file_lock:
            self._directory.mkdir(parents=True, exist_ok=True)
            for day in sorted(days):
                # As it stands now: someone may have been deleted while this waited.
                replace_file(self._path(day), self._days[day].copy().to_json())
            self._delete_old_files(today)

    def _forget_written_days(self) -> None:
        yesterday = self._today() - timedelta(days=1)
        for day in [d for d in self._days if d < yesterday and d not in self._unwritten]:
            del self._days[day]

    def _delete_old_files(self, today: date) -> None:
        first_day = self._first_day_kept(today)
        for day in self._days_on_disk():
            if day < first_day:
                self._path(day).unlink(missing_ok=True)

    def _read_files(self, *, delete_damaged: bool = False) -> Iterator[tuple[date, Tallies]]:
        """Each day on disk; a damaged file is passed over with one warning.

        Raises:
            OSError: the disk refused.
        """
        for day in self._days_on_disk():
            path = self._path(day)
            try:
                yield day, Tallies.from_json(path.read_bytes())
            except FileNotFoundError:
                continue  # grown too old in the meantime
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                if path not in self._known_damaged:
                    self._known_damaged.add(path)
                    log.warning("damaged usage file passed over", extra={"file": path.name})
                if delete_damaged:
                    path.unlink(missing_ok=True)

    def _days_on_disk(self) -> list[date]:
        days = []
        for path in self._directory.glob("*.json"):
            with contextlib.suppress(ValueError):
                day = date.fromisoformat(path.stem)
                if path == self._path(day):
                    days.append(day)
        return sorted(days)

    def _path(self, day: date) -> Path:
        return self._directory / f"{day.isoformat()}.json"

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock(), UTC).date()

    def _of_today(self) -> Tallies:
        return self._days.get(self._today()) or Tallies()

    def _first_day_kept(self, today: date) -> date:
        return today - timedelta(days=self._days_kept - 1)


class QuotaError(BotError):
    """Somebody asked for more than there is.

    Attributes:
        opens_at: Unix seconds.
        is_first: the person was not told yet since it closed; later refusals stay silent.
    """

    def __init__(self, detail: str, *, sentence: str, opens_at: int, is_first: bool) -> None:
        super().__init__(detail, sentence=sentence)
        self.opens_at = opens_at
        self.is_first = is_first


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left to a person; None where there is no limit.

    Args:
        minute_opens_at: when the oldest answer of the last minute stops counting; Unix seconds.
        day_opens_at: the next midnight, UTC; Unix seconds.
    """

    answers: int | None
    user_tokens: int | None
    guild_tokens: int | None
    minute_opens_at: int
    day_opens_at: int


class Quotas:
    """How much each person and each server may ask. 0 is no limit.

    Args:
        usage: what the limits of a day are held against.
        requests_per_minute: of one person, in any 60 s.
        user_daily_tokens, guild_daily_tokens: of one UTC day.
        exempt_user_ids: people without limits; may be replaced at any time.
        clock: Unix seconds.
        monotonic: seconds, for the minute.
    """

    def __init__(
        self,
        *,
        usage: UsageStore,
        requests_per_minute: int,
        user_daily_tokens: int,
        guild_daily_tokens: int,
        exempt_user_ids: frozenset[int] = frozenset(),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.exempt_user_ids = exempt_user_ids
        self._usage = usage
        self._requests_per_minute = requests_per_minute
        self._user_daily_tokens = user_daily_tokens
        self._guild_daily_tokens = guild_daily_tokens
        self._clock = clock
        self._monotonic = monotonic
        # Of each person the turns of the last minute with their time; longest idle first.
        self._minutes: OrderedDict[int, deque[tuple[float, int]]] = OrderedDict()
        # By person and limit: until when a refusal was told.
        self._told: OrderedDict[tuple[int, str, int | None], int] = OrderedDict()

    def admit(self, *, user_id: int, guild_id: int | None, turn_id: int) -> None:
        """Let a turn pass and count it. One that passed within the last minute counts once.

        Raises:
            QuotaError: a limit is reached.
        """
        if user_id in self.exempt_user_ids:
            return
        allowance = self.allowance(user_id=user_id, guild_id=guild_id)
        if allowance.user_tokens == 0:
            raise self._refusal(
                (user_id, "user day", None),
                "You have used up what I can give you in a day",
                allowance.day_opens_at,
            )
        if allowance.guild_tokens == 0:
            raise self._refusal(
                (user_id, "guild day", guild_id),
                "This server has used up what I can give it in a day",
                allowance.day_opens_at,
            )
        if allowance.answers is None:
            return
        minute = self._minute_of(user_id)
        if any(passed == turn_id for _, passed in minute):
            return
        if allowance.answers == 0:
            times = "once" if len(minute) == 1 else f"{len(minute)} times"
            raise self._refusal(
                (user_id, "minute", None),
                f"You have asked me {times} within a minute",
                allowance.minute_opens_at,
            )
        minute.append((self._monotonic(), turn_id))
        self._minutes[user_id] = minute
        self._minutes.move_to_end(user_id)

    def allowance(self, *, user_id: int, guild_id: int | None) -> Allowance:
        """What is left to a person in a server, or in direct messages."""
        now = self._clock()
        answers, user_tokens, guild_tokens = None, None, None
        minute_opens_at = math.ceil(now)
        if user_id not in self.exempt_user_ids:
            if self._requests_per_minute:
                minute = self._minute_of(user_id)
                answers = max(0, self._requests_per_minute - len(minute))
                if minute:
                    opens_in_s = minute[0][0] + _MINUTE_S - self._monotonic()
                    minute_opens_at = math.ceil(now + opens_in_s)
            if self._user_daily_tokens:
                used = self._usage.user_today(user_id).tokens
                user_tokens = max(0, self._user_daily_tokens - used)
            if self._guild_daily_tokens and guild_id is not None:
                used = self._usage.guild_today(guild_id).tokens
                guild_tokens = max(0, self._guild_daily_tokens - used)
        return Allowance(
            answers=answers,
            user_tokens=user_tokens,
            guild_tokens=guild_tokens,
            minute_opens_at=minute_opens_at,
            day_opens_at=(int(now // _DAY_S) + 1) * _DAY_S,
        )

    def _minute_of(self, user_id: int) -> deque[tuple[float, int]]:
        """The person's turns of the last minute. Whoever was idle for longer is forgotten."""
        begins_at = self._monotonic() - _MINUTE_S
        while self._minutes:
            idle_user_id, turns = next(iter(self._minutes.items()))
            if turns[-1][0] > begins_at:
                break
            del self._minutes[idle_user_id]
        minute = self._minutes.get(user_id, deque())
        while minute and minute[0][0] <= begins_at:
            minute.popleft()
        return minute

    def _refusal(
        self, limit: tuple[int, str, int | None], closed: str, opens_at: int
    ) -> QuotaError:
        is_first = self._clock() >= self._told.get(limit, 0)
        self._told[limit] = opens_at
        self._told.move_to_end(limit)
        if len(self._told) > _REFUSALS_KEPT:
            self._told.popitem(last=False)
        return QuotaError(
            f"quota reached: {limit[1]}",
            sentence=f"{closed}; I am all yours again <t:{opens_at}:R>.",
            opens_at=opens_at,
            is_first=is_first,
        )


def _add_all(to: dict[Any, Tally], entries: Mapping[Any, Tally]) -> None:
    for key, tally in entries.items():
        to[key] = to.get(key, NOTHING) + tally


def _tally(value: Any) -> Tally:
    """Raises:
    ValueError, TypeError: not four whole numbers from 0 up.
    """
    answers, prompt_tokens, cached_tokens, completion_tokens = value
    numbers = (answers, prompt_tokens, cached_tokens, completion_tokens)
    if any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError("not a count")
    return Tally(*numbers)
