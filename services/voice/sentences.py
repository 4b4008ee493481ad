"""Sentences of a text that is still being written, found as soon as they are certain.

A stop counts only when what follows has been seen: "$29." may become "$29.95", "Dr." goes on,
"am 3." waits for "Mai". Where the text was cut into pieces makes no difference to the sentences.

Splitting too little costs a longer breath, splitting too much is heard as a stumble: what is
doubtful stays together. Segmentation libraries want the whole text and know European scripts
alone, so that the rules are here; the table in the tests is what they are held against.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class Ending(Enum):
    """What follows a piece of text: how long a reader would pause there."""

    CUT = "cut"  # in mid-phrase: it was too long
    CLAUSE = "clause"
    SENTENCE = "sentence"
    LINE = "line"  # also a heading, an item of a list
    PARAGRAPH = "paragraph"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A whole sentence, its white space collapsed."""

    text: str
    ending: Ending


# Stops that end a sentence whatever follows: Chinese and Japanese, Arabic, Urdu, Indic, Armenian,
# Ethiopic, Burmese, Khmer.
_HARD = "。！？｡؟۔।॥։።။។"
_CANDIDATE = re.compile(rf"\n|[.!?…{_HARD}]+|(?<=[\u0370-\u03ff\u1f00-\u1fff]);")
# What closes after a stop. A bare “ closes in German („…“) and opens in Chinese.
_CLOSERS = re.compile(r"(?:[\"'”’“‘)\]}]|[»›](?!\w)|[ \u00a0\u202f][»›](?=\s|$))*")
_HARD_CLOSERS = re.compile(r"[\"'”’)\]}」』）】》〉]*")
_QUOTES = re.compile(r"[\"”’“」』»]")
_SPACE = re.compile(r"\s*")
_OPENERS = re.compile(r"[\"'“‘„‚«»‹›(\[{¿¡「『（【《]*")
_WORD = re.compile(r"[^\W\d_][\w'’]*")
_LAST_WORDS = re.compile(r"(\S*?)[\s(\[]*([^\s(\[\"'“„«¿¡/]*)$")
_DOTTED = re.compile(r"(?:[^\W\d_]{1,3}\.)+[^\W\d_]{1,3}")
_ENUMERATION = re.compile(r"\s*(?:\d{1,3}|[^\W\d_])")
_UNSPACED = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"  # Chinese, Japanese
_UNSPACED_CHAR = re.compile(rf"[{_UNSPACED}「『（“]")
_LAST_WORDS_CHARS = 60
_LONGEST_STARTER_CHARS = 12


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


# fmt: off
# Never the last word of a sentence, whatever stands behind.
_GO_ON = _words(
    "dr mr mrs ms mx prof rev hon gen col maj capt cpt lt sgt cmdr adm sen rep gov pres supt insp",
    "messrs mme mmes mlle mgr mt ft vs al approx ca cf viz incl excl dept univ assn bros",
    "hr hrn fr frl dipl ing mag vgl bzw ggf evtl inkl zzgl sog geb gest bspw allg",
    "sr sra srta srtas sres dna ud uds vd vds ee lic arq gral ej",
    "sig sigg dott dottssa avv geom egr gent spett",
    "dra profa exmo exma av dhr mevr mw mej drs ir bijv resp zgn",
    "np tzw ul pl os dyr inż mgr hab p.o ex env",
    "ул пр пер просп им тов гр проф акад напр см ср тыс руб",
    "doç yrd örn bkz sn kap tlf",
)
# Goes on before a number: "No. 5", but "No. I do not."
_BEFORE_NUMBER = _words(
    "no nos nr nrn num núm n fig figs vol vols p pp pg s ss ch chap sec sect art arts abs abb bd",
    "kap str tel ver v eq cap caps pag pág págs par ref tab ziff z t hausnr rn op ed iss pt pl",
    "jan feb mar apr jun jul aug sep sept oct nov dec okt dez mär janv févr avr juil déc",
    "стр с гл рис д кв корп табл п г № č s. odst",
)
# Goes on before a name; ends a sentence before a word that begins one.
_BEFORE_NAME = _words("st ste ave blvd rd sq ph")
# With stops inside, and yet often last.
_OFTEN_LAST = _words("т.д т.п u.s.w и.т.д")
# Words that begin sentences and are no part of a name: "the U.S. Army", "the U.S. The weather".
_STARTERS = _words(
    "the this that these those it its he his she her they their we our you your i i'm i've i'll",
    "there here then now but and or so if when while what who why how where which as at in on for",
    "from after before since because although however also some many most all no not yes do does",
    "did is are was were can could will would should let let's please maybe perhaps another each",
    "both nothing everything to with by",
    "der die das ein eine er sie es wir ihr ich du und oder aber doch dann danach dort hier so",
    "wenn als weil was wer wie wo warum ja nein nicht auch in im am an auf bei mit für dies diese",
    "le la les un une il elle on nous vous ils elles je tu et mais ou donc puis si ce cette c'est",
    "el los las una él ella nosotros yo y pero o entonces luego si este esta eso es son no sí",
    "lo gli i uno egli noi voi loro io e ma poi se questo questa è sono",
    "o a os as um uma ele ela nós eu mas então depois isso esse essa é são não sim",
    "de het een hij zij wij ik en maar dan daarna als dit dat deze is",
    "он она оно они мы вы я ты и а но или потом затем это этот эта если когда как что где да нет",
    "to ten ta on ona my ja ale potem jest jeśli kiedy co gdzie tak nie",
)
# German and its neighbours write an ordinal with a stop: after these a number is one.
_BEFORE_ORDINAL = _words(
    "der die das dem den des am im vom zum zur beim ab bis seit jeder jede jedes jeden mein meine",
    "meinem meinen sein seine ihr ihre unser unsere dieser diese dieses einen einem ein eine",
    "kapitel den det de pr fra till til",
)
# fmt: on


_STOP_AT_END = re.compile(r"[.!?…。！？।:]+['\"’”»)\]」]*\s*")


class SentenceSplitter:
    """The sentences of one text. `push` each piece, `flush` at the end.

    Not for text with markup: see `SpeakableText`.
    """

    def __init__(self) -> None:
        self._text = ""  # from the start of the sentence that is open
        self._decided_chars = 0  # of `_text`: no sentence ends within them

    @property
    def pending(self) -> str:
        """How the next sentence begins, for certain; white space as in the `Sentence`."""
        return " ".join(self._text[: self._decided_chars].split())

    def push(self, text: str) -> list[Sentence]:
        """Take the next piece of the text; the sentences that are now whole."""
        self._text += text
        return self._split(is_final=False)

    def flush(self) -> list[Sentence]:
        """The text is over: the sentences that waited for more."""
        sentences = self._split(is_final=True)
        last = " ".join(self._text.split())
        self._text, self._decided_chars = "", 0
        return [*sentences, Sentence(last, Ending.SENTENCE)] if last else sentences

    def settle(self) -> list[Sentence]:
        """The text has come to a halt: the sentence of which only the next character is missing."""
        if _STOP_AT_END.fullmatch(self._text, self._decided_chars):
            return self.flush()
        return []

    def _split(self, *, is_final: bool) -> list[Sentence]:
        sentences: list[Sentence] = []
        while (stop := _CANDIDATE.search(self._text, self._decided_chars)) is not None:
            place = _Place(self._text, stop.start(), stop.end(), is_final)
            try:
                ending = place.ending()
            except _NotYet:
                self._decided_chars = stop.start()
                return sentences
            if ending is None:
                self._decided_chars = stop.end()
                continue
            sentence = " ".join(self._text[: place.end].split())
            self._text, self._decided_chars = self._text[place.end :], 0
            if sentence:
                sentences.append(Sentence(sentence, ending))
        self._decided_chars = len(self._text)
        return sentences


class _NotYet(Exception):
    """What comes next decides."""


class _Place:
    """A stop or a new line, and whether the sentence ends there."""

    def __init__(self, text: str, start: int, end: int, is_final: bool) -> None:
        self._text = text  # from the start of the sentence
        self._start = start
        self._is_final = is_final
        self._stops = text[start:end]
        self.end = end  # moves over the quotes and brackets that close behind the stop

    def ending(self) -> Ending | None:
        """How the sentence ends here, None when it goes on.

        Raises:
            _NotYet: the next characters decide.
        """
        if self._stops == "\n":
            return self._ending_at_line()
        self._char(self.end)  # the run of stops is over
        is_hard = self._stops[-1] in _HARD
        closers = (_HARD_CLOSERS if is_hard else _CLOSERS).match(self._text, self.end)
        assert closers is not None  # both match nothing
        self.end = closers.end()
        following = self._char(self.end)
        if following and not following.isspace():
            return Ending.SENTENCE if self._ends_without_space(is_hard, following) else None
        if (ending := self._ending_of_line()) is not None:
            return ending
        return Ending.SENTENCE if is_hard or self._ends_before_next_word() else None

    def _ending_at_line(self) -> Ending | None:
        ending = self._ending_of_line(at=self._start)
        first = self._char(self._after_space(self._start))
        if ending is Ending.LINE and first.islower() and self._text[: self._start].strip():
            return None  # wrapped by hand
        return ending

    def _ending_of_line(self, at: int | None = None) -> Ending | None:
        """LINE or PARAGRAPH when only white space with a new line follows."""
        at = self.end if at is None else at
        after = self._after_space(at)
        new_lines = self._text.count("\n", at, after)
        if new_lines < 2:
            self._char(after)
        return (None, Ending.LINE, Ending.PARAGRAPH)[min(new_lines, 2)]

    def _ends_without_space(self, is_hard: bool, following: str) -> bool:
        if is_hard:
            # 「はい。」と答えた: the quote is part of a sentence.
            is_quoted = _QUOTES.search(self._text[self._start : self.end]) is not None
            return not (is_quoted and following in "とっって,，、")
        is_unspaced = _UNSPACED_CHAR.match(self._text[self._start - 1 : self._start]) is not None
        return is_unspaced and self._stops != "." and _UNSPACED_CHAR.match(following) is not None

    def _ends_before_next_word(self) -> bool:
        at = self._after_space(self.end)
        opened = _OPENERS.match(self._text, at)
        assert opened is not None  # matches nothing, too
        first = self._char(opened.end())
        if not first:
            return True
        if first in "—–-" and not opened[0]:
            return False  # «Привет!» — сказал он
        if "…" in self._stops or ".." in self._stops:
            return not first.islower() and not self._is_english_i(opened.end())
        if self._stops == ";":
            return True
        is_quoted = _QUOTES.search(self._text[self._start : self.end]) is not None
        if self._stops != ".":
            return not first.islower() or (self._is_all_lower and not is_quoted)
        before, word = self._words_before()
        if self._goes_on(before, word, first, opened.end()):
            return False
        return not first.islower() or (self._is_all_lower and not is_quoted)

    def _goes_on(self, before: str, word: str, first: str, at: int) -> bool:
        """Whether the full stop belongs to its word: an abbreviation, an initial, an ordinal."""
        lower = word.lower()
        if _ENUMERATION.fullmatch(self._text, 0, self._start):
            return True  # 1. Open the file.
        if word.isdecimal():
            is_ordinal = len(word) <= 3 and before.lower() in _BEFORE_ORDINAL
            return is_ordinal and not self._is_starter(at)
        if lower in _GO_ON:
            return True
        if lower in _BEFORE_NUMBER:
            if first.isdecimal():
                return True
            if lower == "г":  # in 1945 г., but г. Москва
                return not before.isdecimal()
        if _DOTTED.fullmatch(word):
            return lower not in _OFTEN_LAST and not self._is_starter(at)
        is_initial = len(word) == 1 and word.isupper()
        if is_initial and word == "I" and before.islower():
            return False  # So did I.
        if len(word) == 1 and len(before) == 2 and before.endswith("."):
            return before.lower() + lower not in _OFTEN_LAST  # z. B., J. R., but т. д.
        if len(word) == 1 and word.islower() and self._is_single_letter(at):
            return True
        return (is_initial or lower in _BEFORE_NAME) and not self._is_starter(at)

    @property
    def _is_all_lower(self) -> bool:
        """Whether the writer does not use capitals: the sentence began without one."""
        first = _WORD.search(self._text)
        return first is not None and first[0][0].islower()

    def _words_before(self) -> tuple[str, str]:
        words = _LAST_WORDS.search(self._text[: self._start][-_LAST_WORDS_CHARS:])
        return (words[1], words[2]) if words is not None else ("", "")

    def _is_english_i(self, at: int) -> bool:
        return self._char(at) == "I" and not self._char(at + 1).isalpha()

    def _is_single_letter(self, at: int) -> bool:
        return self._char(at).isalpha() and self._char(at + 1) == "."

    def _is_starter(self, at: int) -> bool:
        word = _WORD.match(self._text, at, at + _LONGEST_STARTER_CHARS)
        if word is None:
            return False
        if word.end() < at + _LONGEST_STARTER_CHARS:
            self._char(word.end())  # the word is whole
        return word[0].lower().replace("’", "'") in _STARTERS

    def _after_space(self, at: int) -> int:
        space = _SPACE.match(self._text, at)
        return at if space is None else space.end()

    def _char(self, at: int) -> str:
        """The character there, "" behind the end of the text."""
        if at < len(self._text):
            return self._text[at]
        if self._is_final:
            return ""
        raise _NotYet
