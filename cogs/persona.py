"""/persona: who the bot is in a channel.

Changing it never rewrites history: what was said stays as it was, and the new persona goes on
from there.
"""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from services.personas import Persona, Personas, UnknownPersonaError

_CHOICES_SHOWN = 25  # Discord's limits
_MESSAGE_CHARS = 2000

_Context = commands.Context[commands.Bot]


class PersonaCommands(commands.Cog):
    """Lists, shows and changes personas."""

    def __init__(self, bot: commands.Bot, *, personas: Personas) -> None:
        self.bot = bot
        self._personas = personas

    @commands.hybrid_group(name="persona", description="Who I am in this channel.")  # type: ignore[arg-type]
    async def persona(self, context: _Context) -> None:
        """Who I am in this channel."""
        await self.list_all(context)

    @persona.command(name="list", description="Who I can be.")  # type: ignore[arg-type]
    async def list_all(self, context: _Context) -> None:
        """Who I can be."""
        await self._personas.reload()
        current = self._personas.of(_channel_ids(context.channel))
        lines = ["**Who I can be**"]
        for name in self._personas.names():
            lines.append(f"- **{name}**, as I am here" if name == current.name else f"- {name}")
        lines += ["", "`/persona show` tells more; `/persona use` changes who I am here."]
        await _tell(context, "\n".join(lines))

    @persona.command(name="show", description="How a persona talks and what it is told.")  # type: ignore[arg-type]
    @app_commands.describe(name="Which one; empty: who I am here")
    async def show(self, context: _Context, *, name: str = "") -> None:
        """How a persona talks and what it is told."""
        await self._personas.reload()
        if name:
            persona = self._personas.get(name)
            if persona is None:
                raise UnknownPersonaError(self._personas.names())
        else:
            persona = self._personas.of(_channel_ids(context.channel))
        if persona is self._personas.default and not await self.bot.is_owner(context.author):
            await _tell(context, "That is my usual self; its words are between me and my operator.")
            return
        await _tell(context, _described(persona))

    @persona.command(name="use", description="Change who I am in this channel.")  # type: ignore[arg-type]
    @app_commands.describe(name="Who I shall be; “default” takes the choice back")
    async def use(self, context: _Context, *, name: str) -> None:
        """Change who I am in this channel, for people who may manage it."""
        if context.guild is not None and not context.permissions.manage_channels:
            await _tell(context, "Only those who may manage this channel can change who I am here.")
            return
        await self._personas.reload()
        await self._personas.use(context.channel.id, name)
        # A thread that takes its choice back has its channel's.
        persona = self._personas.of(_channel_ids(context.channel))
        who = "my usual self" if persona is self._personas.default else persona.name
        await context.send(
            persona.greeting[:_MESSAGE_CHARS] or f"I am {who} here from now on.",
            allowed_mentions=discord.AllowedMentions.none(),
        )

    @show.autocomplete("name")
    @use.autocomplete("name")
    async def _names(
        self, interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        fitting = [name for name in self._personas.names() if current.lower() in name.lower()]
        return [app_commands.Choice(name=name, value=name) for name in fitting[:_CHOICES_SHOWN]]


def _channel_ids(channel: object) -> list[int]:
    """A thread and its channel, or the channel alone."""
    ids = (getattr(channel, "id", None), getattr(channel, "parent_id", None))
    return [channel_id for channel_id in ids if channel_id is not None]


def _described(persona: Persona) -> str:
    lines = [f"**{persona.name}**"]
    if persona.voice:
        lines.append(f"- Voice: {persona.voice}")
    if persona.temperature is not None:
        lines.append(f"- Temperature: {persona.temperature:g}")
    if persona.greeting:
        lines.append(f"- Greeting: {persona.greeting}")
    return "\n".join([*lines, "", persona.text])


async def _tell(context: _Context, text: str) -> None:
    if len(text) > _MESSAGE_CHARS:
        text = text[: _MESSAGE_CHARS - 1] + "…"
    await context.send(text, ephemeral=True, allowed_mentions=discord.AllowedMentions.none())
