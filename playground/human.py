"""A person on the playground: the page's operations and the tests' hands are the same."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping

from .attachments import Upload
from .errors import for_person, unknown
from .interactions import Interactions
from .messages import MessageFlag
from .voice import Heard, PersonInCall, Voice
from .wire import Payload
from .world import Channel, World, check_may_write

Place = Channel | Payload | str | int
"""A channel: itself, its payload, its id, its name, or "dm" for one's own DM with the bot."""


class Human:
    """Acts as one person. Whatever is not allowed raises `Refusal` with its sentence."""

    def __init__(
        self, user: Payload, *, world: World, interactions: Interactions, voice: Voice
    ) -> None:
        self.user = user
        self._world = world
        self._interactions = interactions
        self._voice = voice

    @property
    def id(self) -> str:
        return str(self.user["id"])

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"

    @property
    def dm(self) -> Channel:
        return self._world.dm_with(self.id)

    async def send(
        self,
        place: Place,
        content: str = "",
        *,
        reply_to: Payload | str | None = None,
        files: Iterable[Upload | tuple[str, bytes]] = (),
    ) -> Payload:
        channel = self._channel(place)
        check_may_write(channel)
        body: Payload = {"content": content}
        if reply_to is not None:
            message_id = reply_to if isinstance(reply_to, str) else reply_to["id"]
            body["message_reference"] = {"message_id": message_id}
        uploads = [file if isinstance(file, Upload) else Upload(*file) for file in files]
        return self._world.post(channel, self.user, body, uploads=uploads)

    async def edit(self, message: Payload, content: str) -> Payload:
        channel, stored = self._message(message)
        if stored["author"]["id"] != self.id:
            raise for_person("Only the author can edit a message.")
        return self._world.edit(channel, stored["id"], {"content": content})

    async def delete(self, message: Payload) -> None:
        """Delete one's own message; the server's owner deletes any on it."""
        channel, stored = self._message(message)
        is_moderator = self.id == self._world.owner["id"] and channel.guild_id is not None
        is_for_me = stored.get("ephemeral_for") == self.id
        if stored["author"]["id"] != self.id and not is_moderator and not is_for_me:
            raise for_person("Only the author can delete a message.")
        self._world.delete(channel, stored["id"])

    async def typing(self, place: Place) -> None:
        self._world.type_in(self._channel(place), self.user)

    async def react(self, message: Payload, emoji: str, *, remove: bool = False) -> None:
        channel, stored = self._message(message)
        if stored["flags"] & MessageFlag.EPHEMERAL:
            raise for_person("A message that only you can see takes no reactions.")
        change = self._world.unreact if remove else self._world.react
        change(channel, stored["id"], self.user, emoji)

    async def click(self, message: Payload, custom_id: str) -> None:
        """Press a button; returns once the bot has acknowledged it."""
        channel, stored = self._message(message)
        await self._interactions.click(self.user, channel, stored["id"], custom_id)

    async def slash(self, place: Place, name: str, /, **options: object) -> None:
        """Run a slash command; returns once the bot has acknowledged it."""
        await self._interactions.slash(self.user, self._channel(place), name, options)

    async def autocomplete(
        self, place: Place, name: str, focused: str, /, **options: object
    ) -> list[Payload]:
        """What the bot offers for the option `focused`, given what is entered so far."""
        channel = self._channel(place)
        return await self._interactions.autocomplete(self.user, channel, name, options, focused)

    async def create_thread(
        self,
        place: Place,
        name: str,
        *,
        content: str | None = None,
        message: Payload | str | None = None,
    ) -> Payload:
        """Open a thread, from a message or alone; in a forum, a post with `content`."""
        parent = self._channel(place)
        message_id = message["id"] if isinstance(message, dict) else message
        first_post = None if content is None else {"content": content}
        thread, posted = self._world.start_thread(
            parent, self.user, name, from_message_id=message_id, first_post=first_post
        )
        if content and posted is None:
            self._world.post(thread, self.user, {"content": content})
        return dict(thread.payload)

    async def join_voice(self, place: Place) -> PersonInCall:
        """Enter a voice channel, out of the one where one was."""
        return self._voice.join(self.user, self._channel(place))

    async def leave_voice(self) -> None:
        self._voice.leave(self.user)

    @property
    def call(self) -> PersonInCall:
        """One's call, or the last one."""
        call = self._voice.person(self.id)
        if call is None:
            raise for_person("You are in no voice channel.")
        return call

    @property
    def heard(self) -> Mapping[str, Heard]:
        """What each speaker said in one's call, by their id."""
        return self.call.heard

    async def speak(self, opus_packets: Iterable[bytes] | AsyncIterable[bytes]) -> int:
        """Say 20 ms Opus packets in real time; returns how many went out."""
        return await self.call.speak(opus_packets)

    def _channel(self, place: Place) -> Channel:
        if isinstance(place, Channel):
            channel = place
        elif isinstance(place, dict):
            channel = self._world.channel_by_id(place["id"])
        else:
            channel = self.dm if place == "dm" else self._world.channel(place)
        if channel.guild_id is None and channel is not self.dm:
            raise for_person("That conversation belongs to somebody else.")
        return channel

    def _message(self, message: Payload) -> tuple[Channel, Payload]:
        channel = self._channel(str(message["channel_id"]))
        stored = self._world.message(channel, str(message["id"]))
        if stored.get("ephemeral_for", self.id) != self.id:
            raise unknown("message")
        return channel, stored
