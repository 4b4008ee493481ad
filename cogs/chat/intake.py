"""From a Discord message to an IncomingMessage: who, what, to which message, with which files."""

from __future__ import annotations

import asyncio
import base64
import logging
import re
from collections.abc import Sequence

import aiohttp
import discord

from services.conversation import Attachment, IncomingMessage, Quote, Turn

log = logging.getLogger(__name__)

MAX_ATTACHMENTS = 6
MAX_TEXT_BYTES = 256 * 1024  # of one file; larger ones are not fetched
MAX_TEXT_CHARS = 16_000  # of all text files of a message; the rest is left out and said so
MAX_IMAGE_BYTES = 8 * 1024 * 1024
FETCH_TIMEOUT_S = 15.0

_IMAGE_TYPES = {"image/png", "image/jpeg", "image/webp", "image/gif"}
_TEXT_TYPES = ("text/", "application/json", "application/xml", "application/x-yaml")
# fmt: off
_TEXT_ENDINGS = frozenset([
    ".txt", ".md", ".rst", ".log", ".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".toml",
    ".ini", ".cfg", ".conf", ".xml", ".html", ".css", ".tex", ".diff", ".patch", ".sql",
    ".js", ".mjs", ".jsx", ".ts", ".tsx", ".vue", ".svelte", ".py", ".pyi", ".ipynb", ".rb", ".rs",
    ".go", ".java", ".kt", ".kts", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs", ".php", ".swift",
    ".scala", ".lua", ".pl", ".r", ".ex", ".exs", ".erl", ".hs", ".ml", ".clj", ".dart", ".proto",
    ".graphql", ".sh", ".bash", ".zsh", ".fish", ".ps1", ".bat", ".gradle", ".cmake", ".dockerfile",
])
# fmt: on
_MENTION = re.compile(r"<(?P<kind>@[!&]?|#)(?P<id>\d+)>")


def turn_in(channel: object, conversation_id: int, messages: tuple[IncomingMessage, ...]) -> Turn:
    """The turn of messages that were said in a channel as discord.py knows it."""
    guild = getattr(channel, "guild", None)
    ids = (conversation_id, getattr(channel, "id", None), getattr(channel, "parent_id", None))
    return Turn(
        conversation_id,
        messages,
        guild_id=guild.id if guild is not None else None,
        channel_ids=tuple(dict.fromkeys(i for i in ids if i is not None)),
    )


def mentions_bot(message: discord.Message, bot_user: discord.ClientUser) -> bool:
    """Whether the message mentions the bot or the role that Discord made for it."""
    if any(user.id == bot_user.id for user in message.mentions):
        return True
    return bool(_own_roles(message, bot_user))


def _own_roles(message: discord.Message, bot_user: discord.ClientUser) -> list[discord.Role]:
    """The mentioned roles that stand for the bot itself."""
    return [r for r in message.role_mentions if r.tags is not None and r.tags.bot_id == bot_user.id]


def replied_to(message: discord.Message) -> discord.Message | None:
    """The message this one replies to, as it came with the event."""
    reference = message.reference
    if reference is None or not isinstance(reference.resolved, discord.Message):
        return None
    return reference.resolved


def readable_text(message: discord.Message, bot_user: discord.ClientUser) -> str:
    """The content with mentions as names, without the mention that addressed the bot."""
    content = message.content.strip()
    own = {f"<@{bot_user.id}>", f"<@!{bot_user.id}>"}
    own |= {role.mention for role in _own_roles(message, bot_user)}
    for mention in own:
        content = content.removeprefix(mention).removesuffix(mention).strip(" ,\n")
    if "<" in content:
        names = {f"@{user.id}": f"@{user.display_name}" for user in message.mentions}
        names |= {f"@{role.id}": f"@{role.name}" for role in message.role_mentions}
        names |= {f"#{c.id}": f"#{c.name}" for c in message.channel_mentions}
        names[f"@{bot_user.id}"] = f"@{bot_user.display_name}"
        content = _MENTION.sub(lambda m: names.get(m["kind"][0] + m["id"], m[0]), content)
    for snapshot in message.message_snapshots:
        content = f"{content}\n[Forwarded message]\n{snapshot.content}".strip()
    for sticker in message.stickers:
        content = f"{content}\n[Sticker: {sticker.name}]".strip()
    return content


def quote_of(message: discord.Message, bot_user: discord.ClientUser) -> Quote | None:
    """What the message replies to, for the prompt."""
    original = replied_to(message)
    if original is None:
        return None
    author = "you" if original.author.id == bot_user.id else original.author.display_name
    text = readable_text(original, bot_user)
    for attachment in original.attachments:
        text = f"{text}\n[Attached file {attachment.filename}]".strip()
    return Quote(original.id, author, text, author_id=original.author.id)


async def incoming(
    message: discord.Message, bot_user: discord.ClientUser, *, session: aiohttp.ClientSession
) -> IncomingMessage:
    """The message as the bot hears it. Fetches its files, so it takes as long as they do."""
    text = readable_text(message, bot_user)
    quote = quote_of(message, bot_user)
    files = [*message.attachments, *(a for s in message.message_snapshots for a in s.attachments)]
    if (original := replied_to(message)) is not None:
        files += original.attachments
    attachments: tuple[Attachment, ...] = ()
    if files:
        attachments = await read_attachments(files, session=session)
    if not text and not attachments:
        text = "(mentioned you without saying anything)" if quote is None else "(what about this?)"
    return IncomingMessage(
        id=message.id,
        author_id=message.author.id,
        author_name=message.author.display_name,
        text=text,
        sent_at=message.created_at.timestamp(),
        quote=quote,
        attachments=attachments,
    )


async def read_attachments(
    attachments: Sequence[discord.Attachment], *, session: aiohttp.ClientSession
) -> tuple[Attachment, ...]:
    """Read what can be read, all at once; what cannot says why in one clause."""
    read = list(
        await asyncio.gather(
            *(_read(attachment, session) for attachment in attachments[:MAX_ATTACHMENTS])
        )
    )
    read += [
        Attachment(a.filename, problem=f"only {MAX_ATTACHMENTS} files are read at a time")
        for a in attachments[MAX_ATTACHMENTS:]
    ]
    return _bounded(read)


async def _read(attachment: discord.Attachment, session: aiohttp.ClientSession) -> Attachment:
    name = attachment.filename
    content_type = (attachment.content_type or "").split(";")[0].strip().lower()
    ending = "." + name.lower().rpartition(".")[2]
    is_image = content_type in _IMAGE_TYPES
    is_text = content_type.startswith(_TEXT_TYPES) or ending in _TEXT_ENDINGS
    limit = MAX_IMAGE_BYTES if is_image else MAX_TEXT_BYTES
    if not is_image and not is_text:
        return Attachment(name, problem="it is neither text nor an image")
    if attachment.size > limit:
        return Attachment(name, problem=f"it is larger than {limit // 1024} KiB")
    try:
        data = await _fetch(attachment.url, limit, session)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        log.warning(
            "attachment could not be fetched",
            extra={"error": type(error).__name__, "content_type": content_type},
        )
        return Attachment(name, problem="it could not be fetched")
    if is_image:
        encoded = base64.b64encode(data).decode("ascii")
        return Attachment(name, image_url=f"data:{content_type};base64,{encoded}")
    text = _decoded(data)
    if text is None:
        return Attachment(name, problem="it is not text, whatever its name says")
    return Attachment(name, text=text)


async def _fetch(url: str, limit_bytes: int, session: aiohttp.ClientSession) -> bytes:
    async with (
        asyncio.timeout(FETCH_TIMEOUT_S),
        session.get(url, allow_redirects=False) as response,
    ):
        response.raise_for_status()
        data = await response.content.read(limit_bytes + 1)
        while len(data) <= limit_bytes and (more := await response.content.read(limit_bytes)):
            data += more
    if response.status != 200 or len(data) > limit_bytes:
        raise ValueError("not the announced file")
    return data


def _decoded(data: bytes) -> str | None:
    encodings = ["utf-16"] if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ["utf-8-sig", "cp1252"]
    if b"\x00" in data and encodings[0] != "utf-16":
        return None
    for encoding in encodings:
        try:
            return data.decode(encoding).replace("\r\n", "\n").strip("\n")
        except UnicodeDecodeError:
            continue
    return None


def _bounded(attachments: list[Attachment]) -> tuple[Attachment, ...]:
    """Text files share one bound; what is beyond it is left out with a note."""
    room = MAX_TEXT_CHARS
    result = []
    for attachment in attachments:
        if attachment.text is not None:
            whole = attachment.text
            if len(whole) > room:
                left_out = len(whole) - room
                cut = whole[:room] + f"\n[… {left_out} more characters of this file left out]"
                attachment = Attachment(attachment.name, text=cut)
            room = max(0, room - len(whole))
        result.append(attachment)
    return tuple(result)
