"""Text to speech: one file a provider, one interface, errors that end as one sentence."""

from services.tts.provider import PcmChunk, SpeechProvider, TTSError

__all__ = ["PcmChunk", "SpeechProvider", "TTSError"]
