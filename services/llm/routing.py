"""Routing: which model answers a message, decided from its text alone.

Small talk, reactions and short factual questions go to the fast model. Everything else goes to the
main one: what is recognised as hard, and what is not recognised at all. The same text always has
the same answer; a decision takes tens of microseconds, however long the text is.

What holds in every language is asked first (length, lines, code, formulas, several questions), then
the words of `routing_words`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from services.llm import routing_words as words

_SHORT_MAX_CHARS = 280
_SHORT_MAX_LINES = 4
_FACT_MAX_CHARS = 70
_FACT_MAX_WORDS = 10
_SMALL_TALK_MAX_WORDS = 16

_DISCORD_MARKUP = re.compile(r"<(?:[@#]|@[!&]|/[^<>:]{1,64}:)\d{15,20}>|@(?:everyone|here)\b")
_CUSTOM_EMOJI = re.compile(r"<a?:\w{2,32}:\d{15,20}>|:[a-z][a-z0-9_]{2,31}:")
_EMOJI = re.compile(
    "[\u2190-\u2bff\U0001f000-\U0001faff\ufe0f\u200d]|<3|(?<!\\w)[:;x=]-?[d)(p]+(?!\\w)"
)
_GRAVE = re.compile("[🙏🤔❓❔🧐🆘😭😢😞😔🥺💔]")
_LINK = re.compile(r"https?://|www\.\w")
_CODE = re.compile(
    r"""`
    | [{};]\s*$ | ^\s*[{}] | \w\(\w*\) | \w\([^)]*["',=][^)]*\) | [\w)\]]\.\w+\(
    | ==|!=|=>|->|::|&&|\|\||\+=|</|/> | \\\w | ^\s*(?:\$|>>>|\#!)\s*\w | --?[a-z]{3,}\b
    | \b[a-z]+_[a-z_]+\b | \b[a-z]+[A-Z][a-z]+\w*\b | \b[A-Z][a-z]+[A-Z]\w*(?:Error|Exception)
    | \b\w+(?:Error|Exception)\b | \b\w+\.(?:py|js|ts|cpp|cs|rs|go|java|html|css|json|ya?ml|sh)\b
    | \b(?:SELECT|INSERT|UPDATE|DELETE)\s
    """,
    re.MULTILINE | re.VERBOSE,
)
_MATHS = re.compile(
    r"""[√∫∑π≤≥≠∞±×÷²³%] | \d\s*[-+*/^=x]\s*\d | \b[a-z]\s*[\^=]|\d[a-z]\s*[-+=] | 0x[0-9a-f]
    | \d\D+\d\D+\d
    """,
    re.VERBOSE,
)
_LIST = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+\S", re.MULTILINE)
_QUESTION = re.compile("[?？؟¿]+")
_STRETCHED = re.compile(r"([^\W\d_])\1{2,}")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


class Route(StrEnum):
    MAIN = "main"
    FAST = "fast"


@dataclass(frozen=True, slots=True)
class RoutingDecision:
    """Where a message goes, and the word or two for the log that say why."""

    route: Route
    reason: str


def route(text: str, *, has_images: bool = False, has_files: bool = False) -> RoutingDecision:
    """The model for a message; the main one when unsure."""
    if has_images:
        return _main("image")
    if has_files:
        return _main("file")
    text = text.strip()
    if len(text) > _SHORT_MAX_CHARS or text.count("\n") >= _SHORT_MAX_LINES:
        return _main("long")
    text = _DISCORD_MARKUP.sub(" ", text)
    bare, n_emoji = _CUSTOM_EMOJI.subn(" ", text)
    if reason := _structure(bare):
        return _main(reason)
    spoken, n_more = _EMOJI.subn(" ", words.plain(bare))
    message = _Message(
        spoken,
        n_emoji=n_emoji + n_more,
        is_grave=_GRAVE.search(bare) is not None,
    )
    if not message.words:
        is_reaction = message.n_emoji > 0 and not message.n_questions and not message.is_grave
        return _fast("reaction") if is_reaction else _main("unsure")
    if message.is_all_small_talk():
        return _fast("small talk")
    if message.n_questions > 1:
        return _main("several questions")
    if message.is_short_fact():
        return _fast("short question")
    if reason := _hard_word(message.padded):
        return _main(reason)
    if message.is_chatter():
        return _fast("small talk")
    return _main("unsure")


def _main(reason: str) -> RoutingDecision:
    return RoutingDecision(Route.MAIN, reason)


def _fast(reason: str) -> RoutingDecision:
    return RoutingDecision(Route.FAST, reason)


def _structure(text: str) -> str:
    """What makes the text hard in any language; "" when nothing does."""
    if _LINK.search(text):
        return "link"
    if _CODE.search(text):
        return "code"
    if _MATHS.search(text.lower()):
        return "maths"
    return "list" if _LIST.search(text) else ""


def _hard_word(padded: str) -> str:
    """What a word in it asks for that is hard; "" when there is none."""
    spoken = padded.split()
    return next((what for what, cues in words.HARD.items() if cues.are_in(padded, spoken)), "")


class _Message:
    """A short text, made plain: no case, accents, stretched letters, emoji or mentions."""

    def __init__(self, text: str, *, n_emoji: int, is_grave: bool) -> None:
        text = _STRETCHED.sub(r"\1", text)
        self.n_emoji = n_emoji
        self.is_grave = is_grave
        self.n_questions = len(_QUESTION.findall(text))
        self.words = _WORD.findall(text)
        self.padded = f" {' '.join(self.words)} "

    def is_all_small_talk(self) -> bool:
        """Nothing but greetings, thanks, laughter and the like."""
        if len(self.words) > _SMALL_TALK_MAX_WORDS:
            return False
        rest = words.without_phrases(self.padded)
        spoken = rest.split()
        return all(word in words.SMALL_TALK or word in words.FILLERS for word in spoken) and (
            rest != self.padded or any(word in words.SMALL_TALK for word in spoken)
        )

    def is_short_fact(self) -> bool:
        """A question about one fact that stands by itself."""
        if len(self.padded) > _FACT_MAX_CHARS or len(self.words) > _FACT_MAX_WORDS:
            return False
        beginning = words.FACT.match(self.padded)
        if beginning is None:
            return False
        rest = self.padded[beginning.end() :]
        return words.DEIXIS.isdisjoint(rest.split()) and not _hard_word(rest)

    def is_chatter(self) -> bool:
        """Somebody tells something in a social mood and asks for nothing."""
        if self.n_questions or self.is_grave or not words.ASKING.isdisjoint(self.words):
            return False
        opens_social = self.words[0] in words.SMALL_TALK or words.opens_with_phrase(self.padded)
        n_signs = sum(word in words.SMALL_TALK or word in words.SOCIAL for word in self.words)
        return n_signs + (self.n_emoji > 0) >= 2 and (opens_social or self.n_emoji > 0)
