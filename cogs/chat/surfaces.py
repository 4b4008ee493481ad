"""Where an answer stands in Discord: in a channel, in a thread made for it, under a slash command.

No mention is ever resolved from a model's text; only the ping of the reply itself is allowed.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import discord

log = logging.getLogger(__name__)

NO_MENTIONS = discord.AllowedMentions.none()
REPLY_PING = discord.AllowedMentions(everyone=False, users=False, roles=False, replied_user=True)


class ChannelSurface:
    """Messages in a channel or thread; the first one replies to the question.

    Args:
        channel: where to write.
        question: what the first message replies to; None posts without a reference.
        posted: the messages that stand there already, when an answer is made anew.
        header: a line kept above the answer.
        thread: when given, makes the thread that the answer goes to, once it is needed; should
            that fail, the answer goes to `channel`.
    """

    def __init__(
        self,
        channel: discord.abc.Messageable,
        *,
        channel_id: int,
        question: discord.Message | discord.PartialMessage | None,
        posted: Sequence[discord.Message] = (),
        header: str = "",
        thread: Callable[[], Awaitable[discord.Thread]] | None = None,
    ) -> None:
        self._channel = channel
        self._question = question
        self._posted = list(posted)
        self._nonce = secrets.token_hex(8)
        self._may_stand = False  # a post failed, and Discord may have taken it all the same
        self._header = header
        self._make_thread = thread
        self._thread: asyncio.Future[discord.Thread] | None = None
        self.major = f"channels/{channel_id}"
        self.reserved_chars = len(header) + 1 if header else 0

    @property
    def count(self) -> int:
        return len(self._posted)

    @property
    def message_ids(self) -> list[int]:
        return [message.id for message in self._posted]

    def reply_to(self, question: discord.Message) -> None:
        """Answer a later message of the burst instead, as long as nothing is posted."""
        if not self._posted and self._make_thread is None:
            self._question = question

    async def show_typing(self) -> None:
        channel = await self._destination()
        await channel.typing()

    async def write(
        self, index: int, content: str, view: discord.ui.View | None, *, unfurl: bool
    ) -> None:
        if index == 0:
            content = _headed(self._header, content)
        if index < len(self._posted):
            self._posted[index] = await _edit(self._posted[index], content, view, unfurl=unfurl)
            return
        channel = await self._destination()
        reference = None
        if self._question is not None and index == 0 and self._make_thread is None:
            reference = self._question.to_reference(fail_if_not_exists=False)
        # The nonce makes a repeated request harmless: Discord answers with the first message.
        nonce = f"{self._nonce}-{index}"
        may_stand, self._may_stand = self._may_stand, True
        self._posted.append(
            await channel.send(
                content,
                reference=reference,  # type: ignore[arg-type]
                allowed_mentions=REPLY_PING if reference else NO_MENTIONS,
                view=view,  # type: ignore[arg-type]
                suppress_embeds=not unfurl,
                nonce=nonce,
            )
        )
        self._may_stand = False
        if may_stand:  # then it says what the answer was when it was posted first
            self._posted[index] = await _edit(self._posted[index], content, view, unfurl=unfurl)

    async def remove_after(self, count: int) -> None:
        while len(self._posted) > count:
            await _delete(self._posted.pop())

    async def _destination(self) -> discord.abc.Messageable:
        if self._make_thread is None:
            return self._channel
        if self._thread is None:
            self._thread = asyncio.ensure_future(self._make_thread())
        try:
            return await asyncio.shield(self._thread)
        except (discord.HTTPException, ValueError) as error:
            log.warning("thread for an answer could not be made", extra={"error": str(error)})
            self._make_thread = None
            return self._channel


class InteractionSurface:
    """The response to a slash command, which shows the question above the answer.

    `open` acknowledges the command within Discord's 3 s; its token lives 15 minutes.
    """

    def __init__(self, interaction: discord.Interaction[Any], *, header: str) -> None:
        self._interaction = interaction
        self._header = header
        self._posted: list[discord.Message] = []
        self.major = f"webhooks/{interaction.application_id}/{interaction.token}"
        self.reserved_chars = len(header) + 1

    async def open(self) -> None:
        """Show the question at once."""
        await self._interaction.response.send_message(
            f"{self._header}\n-# …", suppress_embeds=True, allowed_mentions=NO_MENTIONS
        )

    @property
    def count(self) -> int:
        return max(1, len(self._posted))

    @property
    def message_ids(self) -> list[int]:
        return [message.id for message in self._posted]

    async def write(
        self, index: int, content: str, view: discord.ui.View | None, *, unfurl: bool
    ) -> None:
        if index == 0:
            message = await self._interaction.edit_original_response(
                content=_headed(self._header, content), view=view, allowed_mentions=NO_MENTIONS
            )
            self._posted[:1] = [message]
        elif index < len(self._posted):
            self._posted[index] = await self._posted[index].edit(
                content=content, view=view, allowed_mentions=NO_MENTIONS
            )
        else:
            self._posted.append(
                await self._interaction.followup.send(
                    content,
                    view=view or discord.utils.MISSING,
                    allowed_mentions=NO_MENTIONS,
                    suppress_embeds=not unfurl,
                    wait=True,
                )
            )

    async def remove_after(self, count: int) -> None:
        while len(self._posted) > count:
            await _delete(self._posted.pop())


Surface = ChannelSurface | InteractionSurface


def _headed(header: str, content: str) -> str:
    return f"{header}\n{content}" if header else content


async def _edit(
    message: discord.Message,
    content: str,
    view: discord.ui.View | None,
    *,
    unfurl: bool,
) -> discord.Message:
    # discord.py sends `suppress` with every edit, and its default shows the embeds.
    return await message.edit(
        content=content, view=view, allowed_mentions=NO_MENTIONS, suppress=not unfurl
    )


async def _delete(message: discord.Message) -> None:
    try:
        await message.delete()
    except discord.NotFound:
        pass
    except discord.HTTPException as error:
        log.warning("message could not be deleted", extra={"status": error.status})
