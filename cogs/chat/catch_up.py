"""Catching up: what was said while the bot had no session with Discord.

A resumed session replays what was missed. A new one does not: its rooms tell by their last
message which of them have to be read.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable

import discord
from discord.ext import commands

from cogs.chat.recent_ids import RecentIds

log = logging.getLogger(__name__)

CHANNELS_READ = 25
MESSAGES_READ = 50  # of each
DIRECT_CHANNELS_KEPT = 100


class CatchUp:
    """Reads the rooms after a lost session.

    Args:
        hear: takes a message as if it had just come; what was heard before it passes over.
    """

    def __init__(
        self, bot: commands.Bot, *, hear: Callable[[discord.Message], Awaitable[None]]
    ) -> None:
        self._bot = bot
        self._hear = hear
        self._newest_id = 0  # newest message seen anywhere
        self._direct_channels = RecentIds(DIRECT_CHANNELS_KEPT)
        self._was_ready = False
        self._missed_since: int | None = None  # newest message before the session was lost

    def saw(self, message_id: int) -> None:
        self._newest_id = max(self._newest_id, message_id)

    def saw_direct_message(self, channel_id: int) -> None:
        """A new session does not tell of direct messages: remember where they come from."""
        self._direct_channels.add(channel_id)

    def session_began(self) -> None:
        """What was said since the last session is known to nobody here."""
        if self._was_ready and self._missed_since is None:
            self._missed_since = self._newest_id

    async def ready(self) -> None:
        """The rooms are known: read what was missed, if this is not the first session."""
        if not self._was_ready:
            self._was_ready = True
            known = [c.last_message_id or 0 for guild in self._bot.guilds for c in _rooms(guild)]
            self._newest_id = max(self._newest_id, *known, 0)
        elif self._missed_since is not None:
            missed_since, self._missed_since = self._missed_since, None
            await self._read_since(missed_since)

    async def _read_since(self, newest_id: int) -> None:
        missed: list[discord.Message] = []
        channels: list[discord.TextChannel | discord.Thread | discord.DMChannel] = []
        for guild in self._bot.guilds:
            channels += [c for c in _rooms(guild) if (c.last_message_id or 0) > newest_id]
        channels = channels[:CHANNELS_READ]
        for channel_id in self._direct_channels.newest(CHANNELS_READ):
            with contextlib.suppress(discord.HTTPException):
                direct = await self._bot.fetch_channel(channel_id)
                if isinstance(direct, discord.DMChannel):
                    channels.append(direct)
        since = discord.Object(newest_id)
        for channel in channels:
            try:
                missed += [m async for m in channel.history(limit=MESSAGES_READ, after=since)]
            except discord.HTTPException as error:
                log.warning("missed messages could not be read", extra={"status": error.status})
        for message in sorted(missed, key=lambda message: message.id):
            await self._hear(message)
        log.info("caught up after a new session", extra={"messages": len(missed)})


def _rooms(guild: discord.Guild) -> list[discord.TextChannel | discord.Thread]:
    return [*guild.text_channels, *guild.threads]
