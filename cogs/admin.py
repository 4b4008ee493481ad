"""Commands for the bot's owners."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from services.llm import LLMClient, LLMError
from services.tokens import TokenCounter

_CHOICES_SHOWN = 25  # Discord's limit


class Admin(commands.Cog):
    """What owners can change while the bot runs."""

    def __init__(self, bot: commands.Bot, *, llm: LLMClient, counter: TokenCounter) -> None:
        self.bot = bot
        self._llm = llm
        self._counter = counter

    async def cog_check(self, ctx: commands.Context[commands.Bot]) -> bool:  # type: ignore[override]
        if not await self.bot.is_owner(ctx.author):
            raise commands.NotOwner
        return True

    @commands.hybrid_command(name="model", description="Show or change the model (owners).")  # type: ignore[arg-type]
    @app_commands.describe(name="The model to use until the next restart; empty shows the current")
    async def model(self, context: commands.Context[commands.Bot], name: str = "") -> None:
        """Show the model in use, or change it until the next restart."""
        if not name:
            current = self._llm.model or "the first one that the server lists"
            await context.send(f"I use `{current}`.", ephemeral=True)
            return
        await context.defer(ephemeral=True)
        try:
            known = await self._llm.list_models()
        except LLMError:
            known = []  # not every server lists its models
        if known and name not in known:
            await context.send(f"The server does not list a model `{name}`.", ephemeral=True)
            return
        self._llm.set_model(name)
        self._counter.use_model(name)
        await context.send(
            f"I use `{name}` from now on, until I am restarted; `LLM_MODEL` in `.env` keeps it.",
            ephemeral=True,
        )

    @model.autocomplete("name")
    async def _model_names(
        self, interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        if not await self.bot.is_owner(interaction.user):
            return []
        try:
            names = await self._llm.list_models()
        except LLMError:
            return []
        fitting = [name for name in names if current.lower() in name.lower() and len(name) <= 100]
        return [app_commands.Choice(name=name, value=name) for name in fitting[:_CHOICES_SHOWN]]
