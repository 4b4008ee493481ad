"""/summary and /context: what is remembered of a conversation, and what the model was sent."""

from __future__ import annotations

import discord
from discord.ext import commands

from services.context import Context

_MESSAGE_CHARS = 2000  # Discord's limit


class ContextCommands(commands.Cog):
    """Shows people the summary of a channel, and owners how its newest prompt came to be."""

    def __init__(self, bot: commands.Bot, *, context: Context) -> None:
        self.bot = bot
        self._context = context

    @commands.hybrid_command(name="summary", description="What I keep in mind of earlier talk.")  # type: ignore[arg-type]
    async def summary(self, context: commands.Context[commands.Bot]) -> None:
        """What I keep in mind of earlier talk in this channel."""
        summary = await self._context.summary_of(context.channel.id)
        if not summary.text:
            await _tell(context, "There is no summary yet: I still know everything word for word.")
            return
        await _tell(context, f"**What I keep in mind of earlier talk here**\n{summary.text}")

    @commands.hybrid_command(name="context", description="What my last request held (owners).")  # type: ignore[arg-type]
    @commands.is_owner()
    async def show_context(self, context: commands.Context[commands.Bot]) -> None:
        """How the newest prompt of this channel came to be: its parts and what was left out."""
        prompt = self._context.last_prompt(context.channel.id)
        if prompt is None:
            await _tell(context, "I was not asked anything here since I was started.")
            return
        lines = [f"**My last request here: about {prompt.tokens} tokens**"]
        lines += [f"- {part.name}: {part.items}, {part.tokens} tokens" for part in prompt.parts]
        lines += [f"Left out: {clause}." for clause in prompt.left_out]
        await _tell(context, "\n".join(lines))


async def _tell(context: commands.Context[commands.Bot], text: str) -> None:
    """Answer this person alone."""
    if len(text) > _MESSAGE_CHARS:
        text = text[: _MESSAGE_CHARS - 2] + " …"
    await context.send(text, ephemeral=True, allowed_mentions=discord.AllowedMentions.none())
