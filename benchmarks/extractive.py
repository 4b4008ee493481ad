"""A summary model without a model: it copies the sentences that hold something worth knowing.

It knows nothing of what a benchmark planted. A sentence scores by what it is made of: numbers,
names in the middle of a sentence, words of possession and preference; questions and small talk
score nothing. What passes the threshold is copied until the words that it was allowed are used up,
best first, and given back in the order in which it was said.
"""

from __future__ import annotations

import re

from playground.model import ModelCall, Script

_WORDS_ALLOWED = re.compile(r"at most (\d+) words")
_SPEAKER = re.compile(r"^(?:- )?([^:\n]{1,40}): (.*)$")
_SENTENCE = re.compile(r"(?<=[.!?])(?<!\d\.)(?<!\bMr\.)\s+|(?<=[。！？])\s*(?=\S)")
_NUMBER = re.compile(r"\d")
# A capital inside a sentence; German nouns count too, which costs nothing.
_NAME = re.compile(r"(?<=[a-zß-ÿąćęłńóśźżа-яё,] )[A-ZÀ-ÞĄĆĘŁŃÓŚŹŻА-ЯЁ][\w'’-]{2,}")
_OWN = re.compile(
    r"\b(?:my|our|i(?:'m| am| live| work| love| hate| prefer| have)|we|"
    r"mein\w*|unser\w*|ich|wir|mon|ma|mes|notre|je|nous|mi|mis|nuestr\w+|soy|vivo|mio|mia|sono|"
    r"meu|minha|moj\w*|mam|мо[йяиеё]\w*|меня|наш\w*|я)\b|我|我们|私|僕|うち|내|우리|أنا|لدي|ي\b",
    re.IGNORECASE,
)
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


def summary(text: str, *, words: int) -> str:
    """The lines of `text` worth keeping, at most about `words` words of them."""
    found: list[tuple[float, int, str]] = []
    for line in text.split("\n"):
        match = _SPEAKER.match(line)
        if match is None or match[1] == "Assistant":
            continue
        for sentence in _SENTENCE.split(match[2]):
            if (score := _score(sentence)) >= 2:
                found.append((score, len(found), f"- {match[1]}: {sentence.strip()}"))
    room = float(words)
    kept = []
    for _, index, line in sorted(found, key=lambda item: (-item[0], -item[1])):
        room -= _length(line)
        if room < 0:
            break
        kept.append((index, line))
    return "\n".join(line for _, line in sorted(kept)) or "- Nothing of note."


def _score(sentence: str) -> float:
    if sentence.rstrip().endswith(("?", "？", "؟")):
        return 0
    return (
        2.0 * bool(_NUMBER.search(sentence))
        + 1.5 * bool(_NAME.search(sentence))
        + 2.0 * bool(_OWN.search(sentence))
    )


def _length(line: str) -> float:
    """Words; of a script without spaces two characters count as one."""
    unspaced = len(_UNSPACED.findall(line))
    return len(line.split()) + unspaced / 2


def script(call: ModelCall) -> Script:
    """What the model answers to a request of the summarizer."""
    instruction, text = (str(message["content"]) for message in call.messages[:2])
    allowed = _WORDS_ALLOWED.search(instruction)
    return Script.of(summary(text, words=int(allowed[1]) if allowed else 100))
