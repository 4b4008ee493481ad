"""The buttons under an answer.

Everything a button needs stands in its id, so buttons work after a restart:
`reply:<action>:<author id>:<turn id>`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, Protocol, Self, cast

import discord


class Action(StrEnum):
    STOP = "stop"
    AGAIN = "again"
    GO_ON = "go_on"


_LOOKS = {
    Action.STOP: ("Stop", "⏹️", discord.ButtonStyle.secondary),
    Action.AGAIN: ("Try again", "🔄", discord.ButtonStyle.secondary),
    Action.GO_ON: ("Go on", "▶️", discord.ButtonStyle.primary),
}


class _Handler(Protocol):
    async def on_control(
        self, interaction: discord.Interaction, action: Action, author_id: int, turn_id: int
    ) -> None: ...


class ReplyButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=r"reply:(?P<action>stop|again|go_on):(?P<author>\d+):(?P<turn>\d+)",
):
    """One button. What it does is the chat cog's `on_control`."""

    def __init__(self, action: Action, author_id: int, turn_id: int) -> None:
        label, emoji, style = _LOOKS[action]
        super().__init__(
            discord.ui.Button(
                label=label,
                emoji=emoji,
                style=style,
                custom_id=f"reply:{action.value}:{author_id}:{turn_id}",
            )
        )
        self.action = action
        self.author_id = author_id
        self.turn_id = turn_id

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction, item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(Action(match["action"]), int(match["author"]), int(match["turn"]))

    async def callback(self, interaction: discord.Interaction) -> None:
        cog = cast(Any, interaction.client).get_cog("Chat")
        if cog is None:  # the process is ending
            await interaction.response.send_message(
                "I am being restarted. Please try again in a moment.", ephemeral=True
            )
            return
        await cast(_Handler, cog).on_control(interaction, self.action, self.author_id, self.turn_id)


def controls(author_id: int, turn_id: int, *actions: Action) -> discord.ui.View:
    """The row of buttons under an answer."""
    view = discord.ui.View(timeout=None)
    for action in actions:
        view.add_item(ReplyButton(action, author_id, turn_id))
    return view
