"""Chunks of an answer for speech synthesis, while the answer is being written.

The first chunk is the first clause of a few words, so that sound starts at once. Then come whole
sentences, short ones joined, long ones split at a clause, none over the bound. A chunk ends where
a paragraph ends, unless it would be very short.

Where the text was cut into pieces makes no difference to the chunks. Only `buffered_s` does: while
much sound is waiting more is joined, when little is left sentences are split at their clauses.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from services.voice.sentences import Ending, Sentence, SentenceSplitter

# At half of real time a chunk twice as long as what is buffered is ready just in time.
_CHARS_PER_S = 15.0
_SLOWEST_RTF = 0.5
_FIRST_MAX_CHARS = 100

# Words that begin a clause; none that means something else in another of these languages.
_CLAUSES = (
    "but|because|so that|although|though|while|whereas|which|unless|until|since|when|where|if|"
    "aber|denn|weil|dass|obwohl|während|sondern|wenn|damit|bevor|nachdem|"
    "mais|parce que|donc|quand|lorsque|puisque|pour que|pero|porque|aunque|cuando|mientras|"
    "perché|anche se|quando|mentre|embora|enquanto|maar|omdat|terwijl|zodat|ponieważ|gdy|"
    "но|потому что|когда|если|чтобы|fordi|eftersom"
)
_PARTS = "and|or|und|oder|sowie|et|ou|y|e|ed|och|og|oraz|lub|и|или|ve|veya"  # may join nouns
_CLAUSE = re.compile(
    r"[,;:](?=\s)|\s[—–](?=\s)|\s-(?=\s\D)|—(?=\w)|[，、；：،؛](?=.)|"
    rf"\s(?=(?:{_CLAUSES})\s)|(?P<weak>\s)(?=(?:{_PARTS})\s)"
)
_WEAK_MORE_WORDS = 2  # "bread and butter" stays together longer
_LOOKAHEAD_CHARS = 16  # more than the longest of these words and the space behind it
# Scripts without spaces between words, and how many of their characters make about one.
_TWO_A_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_FOUR_A_WORD = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_WORD = re.compile(r"\w+(?:['’.-]\w+)*")
_JOINED_WITHOUT_SPACE = "。！？｡"


@dataclass(frozen=True, slots=True)
class Pauses:
    """Silence after a chunk, by how it ends: when something follows, not after the last."""

    cut_s: float = 0.0
    clause_s: float = 0.1
    sentence_s: float = 0.25
    line_s: float = 0.35
    paragraph_s: float = 0.6

    def after_s(self, ending: Ending) -> float:
        return {
            Ending.CUT: self.cut_s,
            Ending.CLAUSE: self.clause_s,
            Ending.SENTENCE: self.sentence_s,
            Ending.LINE: self.line_s,
            Ending.PARAGRAPH: self.paragraph_s,
        }[ending]


@dataclass(frozen=True, slots=True)
class Chunk:
    """What is synthesised at once."""

    text: str
    pause_after_s: float


class Chunker:
    """The chunks of one answer. `push` each piece of speakable text, `flush` at the end.

    Args:
        min_chars: shorter sentences are spoken together with the next.
        max_chars: of a chunk; longer sentences are split.
        first_min_words: of the first chunk; a synthesiser sounds poor on fewer than four.
    """

    def __init__(
        self,
        *,
        min_chars: int = 20,
        max_chars: int = 200,
        first_min_words: int = 4,
        pauses: Pauses | None = None,
    ) -> None:
        self._min_chars = min_chars
        self._max_chars = max_chars
        self._first_min_words = first_min_words
        self._pauses = pauses or Pauses()
        self._splitter = SentenceSplitter()
        self._waiting: list[Sentence] = []
        self._given_chars = 0  # of the sentence that is still being written
        self._has_begun = False

    def push(self, text: str, *, buffered_s: float | None = None) -> list[Chunk]:
        """Take the next piece of the text; the chunks that are now ready.

        Call it with "" when the buffer runs low: what was kept to be joined is given then.

        Args:
            buffered_s: sound not yet heard, that of the chunks in synthesis included; None when
                not known.
        """
        self._add(self._splitter.push(text))
        return list(self._ready(buffered_s))

    def flush(self, *, buffered_s: float | None = None) -> list[Chunk]:
        """The text is over: the chunks that waited for more."""
        self._add(self._splitter.flush())
        chunks = list(self._ready(buffered_s))
        if self._waiting:
            chunks.append(self._take_all())
        return chunks

    def settle(self) -> list[Chunk]:
        """The text has come to a halt, not to its end: what reads as finished, however short."""
        self._add(self._splitter.settle())
        chunks = list(self._ready(0.0))
        if self._waiting:
            chunks.append(self._take_all())
        return chunks

    def _add(self, sentences: list[Sentence]) -> None:
        for sentence in sentences:
            rest = sentence.text[self._given_chars :].lstrip()
            self._given_chars = 0
            if _can_be_said(rest):
                self._waiting.append(Sentence(rest, sentence.ending))

    def _ready(self, buffered_s: float | None) -> Iterator[Chunk]:
        while (chunk := self._next(buffered_s)) is not None:
            yield chunk

    def _next(self, buffered_s: float | None) -> Chunk | None:
        """The next chunk if it is ready, taken from what waits."""
        enough_chars, limit_chars = self._lengths(buffered_s)
        text, ending = "", Ending.SENTENCE
        for count, sentence in enumerate([*self._waiting, self._open()]):
            is_whole = count < len(self._waiting)
            longer = _joined(text, sentence.text)
            before_chars = len(longer) - len(sentence.text)
            cut = None
            if not self._has_begun:
                cut = self._first_clause(longer, before_chars, limit_chars)
            seen_chars = len(longer) if is_whole else len(longer) - _LOOKAHEAD_CHARS
            if cut is None and seen_chars > limit_chars:
                if len(text) >= self._min_chars:
                    return self._take(text, ending, count)
                cut = self._cut(longer, before_chars, limit_chars)
            if cut is not None:
                return self._take_part(longer, cut, count, before_chars)
            if not is_whole:
                return None
            text, ending = longer, sentence.ending
            if self._has_begun:
                is_paragraph = ending is Ending.PARAGRAPH and len(text) >= self._min_chars
                is_enough = is_paragraph or len(text) >= enough_chars
            else:
                is_enough = _word_count(text) >= self._first_min_words
            if is_enough:
                return self._take(text, ending, count + 1)
        return None

    def _lengths(self, buffered_s: float | None) -> tuple[int, int]:
        """Characters that are enough for a chunk, and those over which it is split."""
        if not self._has_begun or buffered_s is None:
            return self._min_chars, self._most_chars
        as_long = buffered_s * _CHARS_PER_S
        return self._within_bounds(as_long), self._within_bounds(as_long / _SLOWEST_RTF)

    def _within_bounds(self, chars: float) -> int:
        return round(max(self._min_chars, min(chars, self._max_chars)))

    @property
    def _most_chars(self) -> int:
        return self._max_chars if self._has_begun else min(_FIRST_MAX_CHARS, self._max_chars)

    def _open(self) -> Sentence:
        text = self._splitter.pending[self._given_chars :].lstrip()
        return Sentence(text if _can_be_said(text) else "", Ending.CUT)

    def _first_clause(self, text: str, least_chars: int, most_chars: int) -> int | None:
        for clause in _CLAUSE.finditer(text, least_chars):
            if clause.end() > most_chars:
                break
            weak_words = _WEAK_MORE_WORDS if clause["weak"] else 0
            if _word_count(text[: clause.end()]) >= self._first_min_words + weak_words:
                return clause.end()
        return None

    def _cut(self, text: str, before_chars: int, limit_chars: int) -> int | None:
        """Where to split what is too long: at a clause, over `max_chars` anywhere."""
        least = max(self._min_chars, before_chars)
        most = self._most_chars
        clauses = [end for end in _clause_ends(text, most) if least <= end <= most]
        if within := [end for end in clauses if end <= limit_chars]:
            return within[-1]
        if clauses:
            return clauses[0]
        if len(text) <= most:
            return None
        space = text.rfind(" ", least, most + 1)
        return space if space > 0 else _between_letters(text, most)

    def _take_all(self) -> Chunk:
        text = functools.reduce(_joined, (sentence.text for sentence in self._waiting))
        return self._take(text, self._waiting[-1].ending, len(self._waiting))

    def _take(self, text: str, ending: Ending, count: int) -> Chunk:
        del self._waiting[:count]
        return self._chunk(text, ending)

    def _take_part(self, text: str, cut: int, count: int, before_chars: int) -> Chunk:
        """Take `text` up to `cut`, which is in the sentence behind `count` whole ones."""
        rest = text[cut:].lstrip()
        if count < len(self._waiting):
            behind = [Sentence(rest, self._waiting[count].ending)] if _can_be_said(rest) else []
            self._waiting[: count + 1] = behind
        else:
            self._waiting.clear()
            self._given_chars = len(self._splitter.pending) - len(rest)
        ending = Ending.CLAUSE if cut in _clause_ends(text, cut) else Ending.CUT
        return self._chunk(text[:cut].strip(), ending)

    def _chunk(self, text: str, ending: Ending) -> Chunk:
        self._has_begun = True
        return Chunk(text, self._pauses.after_s(ending))


def _can_be_said(text: str) -> bool:
    return any(map(str.isalnum, text))


def _clause_ends(text: str, most_chars: int) -> list[int]:
    return [clause.end() for clause in _CLAUSE.finditer(text[: most_chars + _LOOKAHEAD_CHARS])]


def _joined(text: str, following: str) -> str:
    if not text or not following:
        return text + following
    return text + ("" if text[-1] in _JOINED_WITHOUT_SPACE else " ") + following


def _word_count(text: str) -> int:
    unspaced = -(-len(_TWO_A_WORD.findall(text)) // 2) + len(_FOUR_A_WORD.findall(text)) // 4
    return unspaced + len(_WORD.findall(_FOUR_A_WORD.sub(" ", _TWO_A_WORD.sub(" ", text))))


def _between_letters(text: str, at: int) -> int:
    """The last place up to `at` that does not tear a vowel sign or an accent off its letter."""
    place = at
    while place > 1 and unicodedata.category(text[place])[0] in "MC":
        place -= 1
    return place
