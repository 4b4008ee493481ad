"""The last place where a failing command ends: one sentence for the person, one log record."""

from __future__ import annotations

import contextlib
import logging

import discord
from discord import app_commands
from discord.ext import commands

from services.errors import BotError

log = logging.getLogger(__name__)


class Errors(commands.Cog):
    """Handles what commands raise, prefix and slash alike."""

    def __init__(self, bot: commands.Bot) -> None:
        self.bot = bot
        bot.tree.error(self.on_app_command_error)

    @commands.Cog.listener()
    async def on_command_error(
        self, context: commands.Context[commands.Bot], error: commands.CommandError
    ) -> None:
        sentence = _sentence(error, context.command.name if context.command else "?")
        if sentence is not None:
            with contextlib.suppress(discord.HTTPException):
                await context.send(sentence, ephemeral=True)

    async def on_app_command_error(
        self, interaction: discord.Interaction, error: app_commands.AppCommandError
    ) -> None:
        sentence = _sentence(error, interaction.command.name if interaction.command else "?")
        if sentence is None:
            return
        with contextlib.suppress(discord.HTTPException):
            if interaction.response.is_done():
                await interaction.followup.send(sentence, ephemeral=True)
            else:
                await interaction.response.send_message(sentence, ephemeral=True)


def _sentence(error: Exception, command: str) -> str | None:
    """What to tell the person, None for nothing. Logs what the operator should know."""
    while isinstance(
        error,
        commands.HybridCommandError | commands.CommandInvokeError | app_commands.CommandInvokeError,
    ):
        error = error.original
    match error:
        case commands.CommandNotFound() | app_commands.CommandNotFound():
            return None
        case commands.NotOwner():
            return "Only the bot's owners can do that."
        case commands.NoPrivateMessage() | app_commands.NoPrivateMessage():
            return "That works on a server only."
        case commands.CheckFailure() | app_commands.CheckFailure():
            return "You cannot use me here."
        case commands.MissingRequiredArgument():
            return f"Something is missing: `{error.param.name}`. Try /help."
        case commands.UserInputError() | app_commands.TransformerError():
            return "I did not understand that. Try /help."
        case BotError():
            level = logging.INFO if error.is_mistake else logging.ERROR
            log.log(level, "command failed", extra={"command": command, "detail": str(error)})
            return error.sentence
        case discord.Forbidden():
            log.warning("command lacks a permission", extra={"command": command})
            return "I lack a permission for that in this channel."
        case _:
            log.error("command failed", exc_info=error, extra={"command": command})
            return BotError.sentence
