"""Chat in text channels: the cog, the reply's way into the channel, its controls."""

from cogs.chat.access import AccessRules
from cogs.chat.cog import Chat, ChatSettings
from cogs.chat.replies import Replies, ReplySettings

__all__ = ["AccessRules", "Chat", "ChatSettings", "Replies", "ReplySettings"]
