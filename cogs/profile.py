"""/profile: what the bot knows about the person who asks, told to them alone."""

from __future__ import annotations

from collections.abc import Callable

import discord
from discord import app_commands
from discord.ext import commands

from services.profile_store import (
    MAX_FACT_CHARS,
    Fact,
    FactSource,
    ProfileError,
    ProfileStore,
    guess_kind,
)

EVERYTHING = "everything"

_MAX_MESSAGE_CHARS = 2000
_MORE_CHARS = 20  # "… and 30 more"
_CHOICES_SHOWN = 25  # Discord's limit
_CHOICE_CHARS = 100  # Discord's limit


class ProfileCommands(
    commands.GroupCog, group_name="profile", group_description="What I know about you."
):
    """Shows a person's profile and changes it.

    Args:
        is_paused: whether a person wants nothing kept.
    """

    def __init__(
        self, bot: commands.Bot, *, profiles: ProfileStore, is_paused: Callable[[int], bool]
    ) -> None:
        self.bot = bot
        self._profiles = profiles
        self._is_paused = is_paused

    @app_commands.command(description="What I know about you, and from where.")
    async def show(self, interaction: discord.Interaction) -> None:
        facts = await self._profiles.facts(interaction.user.id)
        await _answer(interaction, described(facts, guild_id=interaction.guild_id))

    @app_commands.command(description="Let me remember something about you.")
    @app_commands.describe(text="What to remember, such as: I live in Graz")
    async def remember(
        self,
        interaction: discord.Interaction,
        text: app_commands.Range[str, 1, MAX_FACT_CHARS],
    ) -> None:
        if self._is_paused(interaction.user.id):
            await _answer(
                interaction, "You asked me to keep nothing; `/privacy pause` changes that."
            )
            return
        try:
            fact = await self._profiles.remember(
                interaction.user.id,
                text,
                kind=guess_kind(text),
                source=FactSource.REMEMBERED,
                guild_id=interaction.guild_id,
                message_id=0,
            )
        except ProfileError as error:
            await _answer(interaction, error.sentence)
            return
        await _answer(interaction, f"I will remember: {_shown(fact.text)}")

    @app_commands.command(description="Let me forget something about you.")
    @app_commands.describe(fact="What to forget, or everything")
    async def forget(self, interaction: discord.Interaction, fact: str) -> None:
        number = fact.strip()
        if number.lower() == EVERYTHING:
            fact_id = None
        elif number.isascii() and number.isdigit():
            fact_id = int(number)
        else:
            await _answer(interaction, "Choose from the list, or write a number of /profile show.")
            return
        try:
            gone = await self._profiles.forget(interaction.user.id, fact_id)
        except ProfileError as error:
            await _answer(interaction, error.sentence)
            return
        if gone == 0:
            sentence = "There is nothing like that in what I know about you."
        elif fact_id is None:
            sentence = f"Done: I forgot everything I knew about you ({gone})."
        else:
            sentence = "Done: I forgot it."
        await _answer(interaction, sentence)

    @forget.autocomplete("fact")
    async def _facts_to_forget(
        self, interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        facts = await self._profiles.facts(interaction.user.id)
        if not facts:
            return []
        wanted = current.strip().casefold()
        choices = [(f"{fact.id}: {fact.text}", str(fact.id)) for fact in reversed(facts)]
        choices.append((f"Everything ({len(facts)})", EVERYTHING))
        return [
            app_commands.Choice(name=_cut(name, _CHOICE_CHARS), value=value)
            for name, value in choices
            if wanted in name.casefold()
        ][:_CHOICES_SHOWN]


def described(facts: tuple[Fact, ...], *, guild_id: int | None) -> str:
    """A profile as one message, the newest facts first.

    Args:
        guild_id: the server it is shown in; None: direct messages.
    """
    if not facts:
        return "I know nothing about you. `/profile remember` changes that."
    lines = ["**What I know about you**"]
    room = _MAX_MESSAGE_CHARS - len(lines[0])
    for position, fact in enumerate(reversed(facts)):
        line = f"- **{fact.id}** {_shown(fact.text)} ({_origin(fact, guild_id)})"
        left = len(facts) - position
        if len(line) + 1 > room - (_MORE_CHARS if left > 1 else 0):
            lines.append(f"… and {left} more")
            break
        lines.append(line)
        room -= len(line) + 1
    return "\n".join(lines)


def _origin(fact: Fact, guild_id: int | None) -> str:
    is_asked = fact.source is FactSource.REMEMBERED
    how = "you asked me to" if is_asked else "learned from what you said"
    if fact.guild_id is None:
        where = "in direct messages"
    else:
        where = "in this server" if fact.guild_id == guild_id else "in another server"
    return f"{how}, {where}, <t:{int(fact.at)}:d>"


def _shown(text: str) -> str:
    return discord.utils.escape_markdown(text)


def _cut(text: str, limit_chars: int) -> str:
    return text if len(text) <= limit_chars else text[: limit_chars - 1] + "…"


async def _answer(interaction: discord.Interaction, sentence: str) -> None:
    await interaction.response.send_message(
        sentence,
        ephemeral=True,
        suppress_embeds=True,
        allowed_mentions=discord.AllowedMentions.none(),
    )
