"""Speech: from an answer's text to what is said, piece by piece while it is written."""

from services.voice.chunker import Chunk, Chunker, Pauses
from services.voice.sentences import Ending, Sentence, SentenceSplitter
from services.voice.speakable import SpeakableText, SpokenPhrases, phrases_in

__all__ = [
    "Chunk",
    "Chunker",
    "Ending",
    "Pauses",
    "Sentence",
    "SentenceSplitter",
    "SpeakableText",
    "SpokenPhrases",
    "phrases_in",
]
