"""/privacy: what is kept of a person, and how to see it, delete it or stop it.

Every answer is for the person alone, and everybody may ask, everywhere: also people and
places that the bot does not talk to.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from datetime import timedelta

import discord
from discord import app_commands
from discord.ext import commands

from services.errors import BotError
from services.personal_data import PersonalData

log = logging.getLogger(__name__)

FILE_NAME = "my-data.json"

_CHOICE_VALID_FOR = timedelta(minutes=5)
_MAX_MESSAGE_CHARS = 2000
_NO_MENTIONS = discord.AllowedMentions.none()

_WHAT_GOES = (
    "I delete what you said to me and my answers to it, here and everywhere else, what others "
    "quoted of it, and all that I remember or count about you. This cannot be undone."
)


class Privacy(
    commands.GroupCog, group_name="privacy", group_description="What I keep of you, and your say."
):
    """Shows, hands over, deletes and stops what is kept of the person who asks.

    Args:
        model_hosts: where the models run that messages are sent to.
        speech_hosts: servers that turn into sound what is said aloud.
    """

    def __init__(
        self,
        bot: commands.Bot,
        *,
        personal_data: PersonalData,
        model_hosts: Sequence[str],
        speech_hosts: Sequence[str],
    ) -> None:
        self.bot = bot
        self._personal_data = personal_data
        self._model_hosts = tuple(dict.fromkeys(model_hosts))
        self._speech_hosts = tuple(speech_hosts)
        self._choice = ForgetChoice(personal_data)

    async def cog_load(self) -> None:
        self.bot.add_view(self._choice)

    async def cog_unload(self) -> None:
        self._choice.stop()

    @app_commands.command(description="What I keep of people, where it goes and for how long.")
    async def show(self, interaction: discord.Interaction) -> None:
        is_paused = self._personal_data.is_paused(interaction.user.id)
        rest = [
            "",
            "**Where it goes**",
            f"What you say to me is sent to the model that writes my answers: {self._models()}. "
            f"{self._speech()}It goes nowhere else.",
            "",
            "**Your say**",
            "- `/privacy export` gives you everything that I have of you, as a file.",
            "- `/privacy forget` deletes it.",
            "- `/privacy pause` lets you talk to me without my keeping what you say. "
            + ("It is **on** for you." if is_paused else "It is off for you."),
        ]
        bottom = "\n".join(rest)
        lines = [f"- {line}" for line in self._personal_data.holdings()]
        top = "\n".join(["**What I keep**", *(lines or ["- Nothing."])])
        await interaction.response.send_message(
            f"{_cut(top, _MAX_MESSAGE_CHARS - len(bottom) - 1)}\n{bottom}",
            ephemeral=True,
            allowed_mentions=_NO_MENTIONS,
        )

    @app_commands.command(description="Everything that I have of you, as a file for you alone.")
    async def export(self, interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        document = await self._personal_data.export(interaction.user.id)
        if len(document) > interaction.filesize_limit:
            size, limit = (n / 2**20 for n in (len(document), interaction.filesize_limit))
            await interaction.followup.send(
                f"Your data is {size:.1f} MiB and Discord takes files up to {limit:.0f} MiB: "
                "please ask the person who runs me for it.",
                ephemeral=True,
            )
            return
        await interaction.followup.send(
            "This is everything that I have of you.",
            file=discord.File(io.BytesIO(document), filename=FILE_NAME),
            ephemeral=True,
            allowed_mentions=_NO_MENTIONS,
        )

    @app_commands.command(description="Delete everything that I have of you.")
    async def forget(self, interaction: discord.Interaction) -> None:
        await interaction.response.send_message(
            _WHAT_GOES,
            view=ForgetChoice(self._personal_data),
            ephemeral=True,
            allowed_mentions=_NO_MENTIONS,
        )

    @app_commands.command(description="Talk to me without my keeping what you say.")
    @app_commands.describe(on="Yes: keep nothing from now on; no: keep it again")
    async def pause(self, interaction: discord.Interaction, on: bool) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self._personal_data.pause(interaction.user.id, on)
        await interaction.followup.send(
            "From now on I answer you without keeping anything of what you say, so each question "
            "stands alone. What I have of you from before stays until `/privacy forget`."
            if on
            else "I keep what you say again.",
            ephemeral=True,
        )

    def _models(self) -> str:
        return _listed(self._model_hosts)

    def _speech(self) -> str:
        if not self._speech_hosts:
            return ""
        return f"What I say in a voice channel is made sound by {_listed(self._speech_hosts)}. "


def _listed(hosts: Sequence[str]) -> str:
    return ", ".join(f"`{host}`" for host in hosts)


class ForgetChoice(discord.ui.View):
    """The two buttons of /privacy forget.

    Nobody but the asker sees them. All that they need stands in the message, so the instance that
    is registered at the start answers for those that were shown before a restart.
    """

    def __init__(self, personal_data: PersonalData) -> None:
        super().__init__(timeout=None)
        self._personal_data = personal_data

    @discord.ui.button(
        label="Forget me", style=discord.ButtonStyle.danger, custom_id="privacy:forget"
    )
    async def forget(
        self, interaction: discord.Interaction, _: discord.ui.Button[ForgetChoice]
    ) -> None:
        if _is_old(interaction):
            await _close(interaction, "That was a while ago. Please ask for it again.")
            return
        await _close(interaction, "I am forgetting you …")
        try:
            removed = await self._personal_data.forget(interaction.user.id)
        except BotError as error:
            log.error("deletion failed", extra={"detail": str(error)})
            ending = error.sentence
        else:
            ending = f"Done: {removed} {'entry is' if removed == 1 else 'entries are'} gone."
        try:
            await interaction.edit_original_response(content=ending)
        except discord.HTTPException as error:
            # The person has dismissed the message, or it took longer than Discord waits.
            log.info("the end of a deletion could not be told", extra={"status": error.status})

    @discord.ui.button(
        label="Keep everything", style=discord.ButtonStyle.secondary, custom_id="privacy:keep"
    )
    async def keep(
        self, interaction: discord.Interaction, _: discord.ui.Button[ForgetChoice]
    ) -> None:
        await _close(interaction, "I keep everything as it is.")


async def _close(interaction: discord.Interaction, text: str) -> None:
    """Put a text in place of the question and its buttons."""
    await interaction.response.edit_message(content=text, view=None, allowed_mentions=_NO_MENTIONS)


def _is_old(interaction: discord.Interaction) -> bool:
    """Both times are Discord's own."""
    asked = interaction.message
    return asked is None or interaction.created_at - asked.created_at > _CHOICE_VALID_FOR


def _cut(text: str, max_chars: int) -> str:
    return text if len(text) <= max_chars else f"{text[: max_chars - 1]}…"
