"""/help: how to talk to the bot, in one message."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands
from discord.ext import commands


class Help(commands.Cog):
    """Explains the bot to the person who asks."""

    def __init__(self, bot: commands.Bot) -> None:
        self.bot = bot

    @commands.hybrid_command(name="help", description="How to talk to me.")  # type: ignore[arg-type]
    async def help(self, context: commands.Context[commands.Bot]) -> None:
        """How to talk to me."""
        mention = self.bot.user.mention if self.bot.user else "me"
        lines = [
            "**How to talk to me**",
            f"- Mention {mention}, reply to one of my messages, or write to me directly.",
            "- Write several messages in a row: I answer them together.",
            "- Attach pictures, text files or code, and I take a look.",
            "- Edit your question and I answer anew; delete it and I stop.",
            "",
            "**Commands**",
        ]
        known = self.bot.tree.get_commands(type=discord.AppCommandType.chat_input)
        lines += [_line_of(command) for command in sorted(known, key=lambda known: known.name)]
        await context.send(
            "\n".join(lines), ephemeral=True, allowed_mentions=discord.AllowedMentions.none()
        )


def _line_of(command: app_commands.Command[Any, ..., Any] | app_commands.Group) -> str:
    """A command, with what it can be followed by if it is a group."""
    below = ""
    if isinstance(command, app_commands.Group):
        below = f" {', '.join(sorted(part.name for part in command.commands))}"
    return f"- `/{command.name}`{below}: {command.description}"
