"""/usage: what one has used and what is left; for owners also who used how much at what cost."""

from __future__ import annotations

import discord
from discord.ext import commands

from services.prices import PriceTable
from services.usage import BOT_ITSELF, Allowance, Quotas, Tallies, Tally, UsageStore

_MODELS_SHOWN = 8
_MODEL_CHARS = 60
_PEOPLE_SHOWN = 10

_Context = commands.Context[commands.Bot]


class Usage(commands.Cog):
    """Tells people what they used."""

    def __init__(
        self, bot: commands.Bot, *, usage: UsageStore, quotas: Quotas, prices: PriceTable
    ) -> None:
        self.bot = bot
        self._usage = usage
        self._quotas = quotas
        self._prices = prices

    @commands.hybrid_command(name="usage", description="What you have used, and what is left.")  # type: ignore[arg-type]
    async def usage(self, context: _Context) -> None:
        """What you have used, and what is left."""
        await context.defer(ephemeral=True)
        today, kept = self._usage.today(), await self._usage.kept_days()
        allowance = self._quotas.allowance(
            user_id=context.author.id, guild_id=context.guild.id if context.guild else None
        )
        lines = [
            f"**You today** (UTC): {_used(today.of_user(context.author.id))}",
            f"**You in the last {self._usage.days_kept} days**: "
            f"{_used(kept.of_user(context.author.id))}",
            *_left(allowance),
        ]
        is_owner = await self.bot.is_owner(context.author)
        is_private = context.interaction is not None or context.guild is None
        if is_owner and not is_private:
            lines.append("-# What others used I tell my owners in private: `/usage`.")
        await _tell(context, lines)
        if is_owner and is_private:
            await _tell(context, self._costs(today, kept))
            await _tell(context, self._people(today, kept))

    def _costs(self, today: Tallies, kept: Tallies) -> list[str]:
        """Totals and what they cost, for owners."""
        lines = [
            f"**Everybody today**: {_used(today.total)}",
            f"**Everybody in the last {self._usage.days_kept} days**: {_used(kept.total)}",
            f"- of that my own work, such as summaries: "
            f"{_counted(kept.of_user(BOT_ITSELF).tokens, 'token')}",
            f"**Estimated cost**: {self._cost_of(today)} today, {self._cost_of(kept)} "
            f"in {self._usage.days_kept} days",
        ]
        for model, tally in kept.top_models(_MODELS_SHOWN):
            cost = self._price(model, tally)
            lines.append(
                f"- `{model[:_MODEL_CHARS]}`: {tally.prompt_tokens:,} tokens in "
                f"({tally.cached_tokens:,} cached), {tally.completion_tokens:,} out: "
                f"{'price unknown' if cost is None else self._amount(cost)}"
            )
        if (more := len(kept.models) - _MODELS_SHOWN) > 0:
            lines.append(f"- and {more} more")
        return lines

    def _people(self, today: Tallies, kept: Tallies) -> list[str]:
        """Who used most, for owners."""
        lines = []
        for title, tallies in (("Most today", today), ("Most in all", kept)):
            lines.append(f"**{title}**")
            people = tallies.top_users(_PEOPLE_SHOWN)
            lines += [f"{i}. <@{user_id}>: {_used(t)}" for i, (user_id, t) in enumerate(people, 1)]
            if not people:
                lines.append("nobody yet")
        return lines

    def _cost_of(self, tallies: Tallies) -> str:
        costs = [self._price(model, tally) for model, tally in tallies.models.items()]
        known = [cost for cost in costs if cost is not None]
        unknown = len(costs) - len(known)
        if not unknown:
            return self._amount(sum(known))
        if not known:
            return "unknown"
        return f"at least {self._amount(sum(known))} ({_counted(unknown, 'model')} without a price)"

    def _price(self, model: str, tally: Tally) -> float | None:
        return self._prices.cost(
            model,
            prompt_tokens=tally.prompt_tokens,
            cached_tokens=tally.cached_tokens,
            completion_tokens=tally.completion_tokens,
        )

    def _amount(self, cost: float) -> str:
        return f"{cost:,.2f} {self._prices.currency}"


def _left(allowance: Allowance) -> list[str]:
    """What is left, a line for each limit that there is."""
    lines = []
    if allowance.answers is not None:
        line = f"**Left in this minute**: {_counted(allowance.answers, 'answer')}"
        if not allowance.answers:
            line += f"; again <t:{allowance.minute_opens_at}:R>"
        lines.append(line)
    for whose, tokens in (("", allowance.user_tokens), (", this server", allowance.guild_tokens)):
        if tokens is not None:
            lines.append(
                f"**Left today{whose}**: {_counted(tokens, 'token')}; "
                f"anew <t:{allowance.day_opens_at}:R>"
            )
    return lines


def _used(tally: Tally) -> str:
    return f"{_counted(tally.answers, 'answer')}, {_counted(tally.tokens, 'token')}"


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


async def _tell(context: _Context, lines: list[str]) -> None:
    await context.send(
        "\n".join(lines), ephemeral=True, allowed_mentions=discord.AllowedMentions.none()
    )
