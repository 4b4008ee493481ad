"""Voice channels: joining them, speaking in them."""

from cogs.voice.cog import Voice, VoiceSettings

__all__ = ["Voice", "VoiceSettings"]
