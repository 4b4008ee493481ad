"""Speakable text: an answer in Discord's Markdown as it would be read aloud, while it is written.

Marks of emphasis, links' addresses, emoji and footnotes are gone; a block of code is one remark
that it is in the text channel; a spoiler is not given away; headings, items of lists and rows of
tables end as sentences. Lines and paragraphs stay, white space is collapsed.

Text that may still become one of these is held back, never longer than it takes to tell. Where
the answer was cut into pieces makes no difference to what comes out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

MentionKind = Literal["user", "role", "channel"]
NameOf = Callable[[MentionKind, int], str | None]
TimeInWords = Callable[[int, str], str]


@dataclass(frozen=True, slots=True)
class SpokenPhrases:
    """What is said in place of what cannot be read aloud."""

    code_block: str = "A code block is in the text channel."
    code: str = "some code"
    link: str = "a link"
    spoiler: str = "a spoiler"
    somebody: str = "somebody"
    channel: str = "a channel"


ENGLISH = SpokenPhrases()
_PHRASES = {
    "de": SpokenPhrases(
        "Ein Codeblock steht im Textkanal.",
        "etwas Code",
        "ein Link",
        "ein Spoiler",
        "jemand",
        "ein Kanal",
    ),
    "es": SpokenPhrases(
        "Hay un bloque de código en el canal de texto.",
        "un poco de código",
        "un enlace",
        "un spoiler",
        "alguien",
        "un canal",
    ),
    "fr": SpokenPhrases(
        "Un bloc de code est dans le salon textuel.",
        "du code",
        "un lien",
        "un spoiler",
        "quelqu’un",
        "un salon",
    ),
    "it": SpokenPhrases(
        "Un blocco di codice è nel canale testuale.",
        "del codice",
        "un link",
        "uno spoiler",
        "qualcuno",
        "un canale",
    ),
    "pt": SpokenPhrases(
        "Há um bloco de código no canal de texto.",
        "um código",
        "um link",
        "um spoiler",
        "alguém",
        "um canal",
    ),
    "ja": SpokenPhrases(
        "コードブロックはテキストチャンネルにあります。",
        "コード",
        "リンク",
        "ネタバレ",
        "誰か",
        "チャンネル",
    ),
    "zh": SpokenPhrases(
        "代码块在文字频道里。", "一段代码", "一个链接", "一处剧透", "某人", "一个频道"
    ),
}


def phrases_in(language: str) -> SpokenPhrases:
    """The phrases of a language tag ("de", "pt-BR"), in English where there are none."""
    return _PHRASES.get(re.split("[-_]", language.lower())[0], ENGLISH)


# Bounds of what is held back. A construct that is longer is no construct.
_SPOILER_MAX_CHARS = 2000
_LINK_MAX_CHARS = 600
_ANGLE_MAX_CHARS = 600
_URL_MAX_CHARS = 2000
_INLINE_CODE_MAX_CHARS = 200
_MARKER_MAX_CHARS = 200
_SPOKEN_CODE_MAX_CHARS = 40

_EMOJI = (
    "\u20e3\ufe0e\ufe0f\u231a-\u23ff\u25a0-\u27bf\u2934\u2935\u2b00-\u2bff\u3030\u303d"
    "\u3297\u3299\U0001f000-\U0001faff\U000e0020-\U000e007f"
)
_INVISIBLE = "\u00ad\u200b\u2060\ufeff"
_ARROWS = "\u2190-\u21ff"
_EMOJI_RUN = re.compile(rf"[{_EMOJI}][{_EMOJI}\u200d]*")
_TICKS = re.compile("`+")
_STARS = re.compile(r"\*+")
_UNDERSCORES = re.compile("_+")
_TILDES = re.compile("~+")
_DASHES = re.compile("-+|=+")
_PLAIN = re.compile(rf"[^\s*_~`|!\[<&\\@:hHwW\-={_EMOJI}{_INVISIBLE}{_ARROWS}]+")
_SPACES = re.compile(r"[^\S\n]+")

_QUOTE = re.compile(r">(?:>>)?(?:[ \t]+|(?=\n))")
_HEADING = re.compile(r"(?:#{1,6}|-#)[ \t]+")
_BULLET = re.compile(r"[-*+•‣◦▪–—][ \t]+")
_NUMBERED = re.compile(r"\d{1,3}[.)][ \t]+")
_RULE = re.compile(r"(?:([-*_])(?:[ \t]*\1){2,}|=+)[ \t]*(?=\n|\Z)")
_TABLE_RULE = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*(?=\n|\Z)")
_ONLY_MARKERS = re.compile(r"[-#>*+•‣◦▪–—_=.)\d|: \t]*")

_MENTION = re.compile(r"<(@[!&]?|#)(\d{1,20})>")
_CUSTOM_EMOJI = re.compile(r"<a?:\w{1,32}:\d{1,20}>")
_TIMESTAMP = re.compile(r"<t:(-?\d{1,13})(?::([tTdDfFsSR]))?>")
_COMMAND = re.compile(r"</([\w -]{1,100}):\d{1,20}>")
_GUILD_LINK = re.compile(r"<id:\w{1,40}>")
_BRACKETED_URL = re.compile(r"<(?:https?://|mailto:)[^\s<>]{1,500}>", re.IGNORECASE)
_TAG_NAMES = (
    "a|b|blockquote|br|center|code|del|details|div|em|font|h[1-6]|hr|i|img|ins|kbd|li|mark|ol|p|"
    "pre|s|small|span|strong|sub|summary|sup|table|tbody|td|th|thead|tr|u|ul"
)
_TAG = re.compile(rf"</?({_TAG_NAMES})(?:[ \t/][^<>\n]*)?>", re.IGNORECASE)
_LINE_TAGS = frozenset({"br", "p", "div", "li", "tr", "hr", "blockquote", "ul", "ol", "table"})
_MAY_BE_ANGLE = re.compile(
    r"<(?:@[!&]?\d*|#\d*|a?:\w*(?::\d*)?|t:-?\d*(?::[tTdDfFsSR]?)?|/[\w -]+(?::\d*)?|id:\w*|"
    r"(?:https?|mailto):[^\s<>]*|/?[a-z0-9]{0,10}|"
    rf"/?(?:{_TAG_NAMES})[ \t/][^<>\n]*)",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]\w{1,30});")
_MAY_BE_ENTITY = re.compile(r"&(?:#\d{0,7}|#[xX][0-9a-fA-F]{0,6}|[a-zA-Z]\w{0,30})?")
_URL = re.compile(r"(?:https?://|www\.)[^\s<>\u3000-\u9fff\uff00-\uffef]+", re.IGNORECASE)
_URL_STARTS = ("https://", "http://", "www.")
_AFTER_URL = re.compile(r"[\])}.,;:!?'\"”’»*_~|`]*$")
_SPOILER = re.compile(r"\|\|(?:(?!\|\||\n\n)[\s\S])+\|\|")
_BRACKETS = re.compile(r"\[([^\[\]\n]*(?:\[[^\[\]\n]*\][^\[\]\n]*)*)\]")
_LINK_TARGET = re.compile(
    r"\([ \t]*(?:<[^<>\n]*>|[^\s()]*(?:\([^\s()]*\)[^\s()]*)*)"
    r"(?:[ \t]+[\"'(][^\n]*?[\"')])?[ \t]*\)"
)
_FOOTNOTE_OR_BOX = re.compile(r"\[(?:\^[^\[\]\s]+|\d{1,3}|[ xX]?)\]")
_SHORTCODE = re.compile(r":[a-zA-Z+][\w+-]{1,31}:(?!\w)")
_MAY_BE_SHORTCODE = re.compile(r":(?:[a-zA-Z+][\w+-]{0,31}:?)?")
_CODE_MARKS = re.compile(r"[^\w.%$€£+=#@'’ -]+|_+|(?<!\w)[.'’#@-]+|[.'’-]+(?!\w)")
_SILENT_ESCAPES = "*_~|`#>"
_ENDS_ITSELF = ".!?…:;,。！？：；，、।॥؟،۔"
_NO_SPACE_BEFORE = ".,;:!?…)]}”’»。，！？、）」%"
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_INDIC = re.compile(r"[\u0900-\u09ff]")
_WITHOUT_STOPS = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")


class _NotYet(Exception):
    """What comes next decides."""


@dataclass(frozen=True, slots=True)
class _Ahead:
    """The text from a place on, as far as it has come."""

    text: str
    at: int
    is_final: bool

    @property
    def first(self) -> str:
        return self.text[self.at]

    def match(
        self, pattern: re.Pattern[str], *, at: int | None = None, max_chars: int | None = None
    ) -> re.Match[str] | None:
        at = self.at if at is None else at
        end = len(self.text) if max_chars is None else min(len(self.text), self.at + max_chars)
        return pattern.match(self.text, at, end)

    def char(self, at: int) -> str:
        """The character there, "" behind the end of the answer.

        Raises:
            _NotYet: it has not come.
        """
        if at < len(self.text):
            return self.text[at]
        if self.is_final:
            return ""
        raise _NotYet

    def run(self, pattern: re.Pattern[str]) -> str:
        """A run of the characters of `pattern`, whole."""
        found = self.match(pattern)
        if found is None:
            return ""
        self.char(found.end())
        return found[0]

    def wait_within(self, max_chars: int, *, until: str = "\n") -> None:
        """Wait for what may still close, within its bound and before `until`."""
        has_room = len(self.text) - self.at < max_chars
        if has_room and not self.is_final and self.text.find(until, self.at) < 0:
            raise _NotYet


class SpeakableText:
    """One answer's text as it is read aloud. `push` each piece, `flush` at the end.

    Args:
        phrases: what is said in place of code, links and unknown names.
        name_of: the name behind a mention, None where it is not known.
        time_in_words: a Discord timestamp (Unix seconds and its style letter) in words.
            Without it timestamps are left out.
    """

    def __init__(
        self,
        *,
        phrases: SpokenPhrases = ENGLISH,
        name_of: NameOf | None = None,
        time_in_words: TimeInWords | None = None,
    ) -> None:
        self._phrases = phrases
        self._name_of = name_of
        self._time_in_words = time_in_words
        self._held = ""
        self._out: list[str] = []
        self._last = ""  # the character that was given last, "" at the start
        self._new_lines = 0  # given since the last word
        self._owes_space = False
        self._has_dropped = False  # something since the last word
        self._owes_comma = False
        self._at_line_start = True
        self._line_is_item = False
        self._line_is_row = False
        self._drops_line = False
        self._fence = 0  # backticks that opened the block of code we are in
        self._told_of_code = False

    def push(self, text: str) -> str:
        """Take the next piece of the answer; what can be said now, "" while all is held back."""
        self._held += text
        return self._read(is_final=False)

    def flush(self) -> str:
        """The answer is over: what was held back."""
        return self._read(is_final=True)

    def _read(self, *, is_final: bool) -> str:
        text, at = self._held, 0
        try:
            while at < len(text):
                at = self._step(_Ahead(text, at, is_final))
        except _NotYet:
            pass  # a step that waits has changed nothing and is taken again with more text
        self._held = text[at:]
        if is_final:
            self._end_item()
        said = "".join(self._out)
        self._out.clear()
        return said

    # Each step reads what begins at `ahead.at` and returns where to read on. It raises `_NotYet`
    # before it changes anything.

    def _step(self, ahead: _Ahead) -> int:
        if self._fence:
            return self._in_fence(ahead)
        if self._drops_line:
            line_end = ahead.text.find("\n", ahead.at)
            self._drops_line = line_end < 0
            return len(ahead.text) if line_end < 0 else line_end
        if (spaces := ahead.match(_SPACES)) is not None:
            self._owes_space = True
            return spaces.end()
        if self._at_line_start:
            return self._line_start(ahead)
        if (plain := ahead.match(_PLAIN)) is not None:
            self._say(plain[0])
            return plain.end()
        if (reader := _READERS.get(ahead.first)) is not None:
            return reader(self, ahead)
        return self._other(ahead)

    def _other(self, ahead: _Ahead) -> int:
        if ahead.first in _INVISIBLE:
            return ahead.at + 1
        if emoji := ahead.run(_EMOJI_RUN):
            self._drop()
            return ahead.at + len(emoji)
        self._owes_comma = True  # an arrow
        return ahead.at + 1

    def _new_line(self, ahead: _Ahead) -> int:
        self._end_line()
        return ahead.at + 1

    def _line_start(self, ahead: _Ahead) -> int:
        window = ahead.text[ahead.at : ahead.at + _MARKER_MAX_CHARS]
        if _ONLY_MARKERS.fullmatch(window):
            ahead.wait_within(_MARKER_MAX_CHARS)
        if (rule := _RULE.match(window) or _TABLE_RULE.match(window)) is not None:
            return ahead.at + rule.end()
        if (quote := _QUOTE.match(window)) is not None:
            return ahead.at + quote.end()
        self._at_line_start = False
        if (marker := _HEADING.match(window) or _BULLET.match(window)) is not None:
            self._line_is_item = True
            return ahead.at + marker.end()
        if (marker := _NUMBERED.match(window)) is not None:
            self._line_is_item = True
            self._say(marker[0].rstrip()[:-1] + ".")
            self._owes_space = True
            return ahead.at + marker.end()
        if window.startswith("|") and not window.startswith("||"):
            self._line_is_item = self._line_is_row = True
            return ahead.at + 1
        return ahead.at

    def _backticks(self, ahead: _Ahead) -> int:
        ticks = len(ahead.run(_TICKS))
        start = ahead.at + ticks
        if ticks >= 3:
            self._fence = ticks
            self._break_line()
            if not self._told_of_code:
                self._told_of_code = True
                self._say(self._phrases.code_block)
                self._break_line()
            return start
        code = re.compile(rf"([^\n]*?[^`\n])`{{{ticks}}}(?!`)")
        max_chars = _INLINE_CODE_MAX_CHARS
        found = ahead.match(code, at=start, max_chars=max_chars)
        if found is None:
            ahead.wait_within(max_chars)
            return start
        if found.end() < ahead.at + max_chars:
            ahead.char(found.end())
        words = " ".join(_CODE_MARKS.sub(" ", found[1]).split())
        is_short = len(words) <= _SPOKEN_CODE_MAX_CHARS and any(map(str.isalnum, words))
        self._say(words if is_short else self._phrases.code)
        return found.end()

    def _in_fence(self, ahead: _Ahead) -> int:
        closing = ahead.text.find("`" * self._fence, ahead.at)
        if closing < 0:
            inside = len(ahead.text.rstrip("`"))
            if inside <= ahead.at:
                ahead.char(len(ahead.text))
                return len(ahead.text)
            return inside
        ticks = _TICKS.match(ahead.text, closing)
        assert ticks is not None
        ahead.char(ticks.end())
        self._fence = 0
        self._break_line()
        return ticks.end()

    def _asterisks(self, ahead: _Ahead) -> int:
        stars = ahead.run(_STARS)
        end = ahead.at + len(stars)
        if self._last.isdecimal():
            spaces = ahead.match(_SPACES, at=end)
            after = end if spaces is None else spaces.end()
            if ahead.char(after).isdecimal() and self._owes_space == (after > end):
                if len(stars) == 1:
                    self._say("×")
                elif len(stars) == 2 and not self._owes_space:
                    self._say("^")
        return end

    def _underscores(self, ahead: _Ahead) -> int:
        end = ahead.at + len(ahead.run(_UNDERSCORES))
        if ahead.char(end).isalnum() and self._is_in_word:
            self._owes_space = True  # snake_case
        return end

    def _tildes(self, ahead: _Ahead) -> int:
        tildes = ahead.run(_TILDES)
        if len(tildes) == 1:
            self._say("~")
        return ahead.at + len(tildes)

    def _bar(self, ahead: _Ahead) -> int:
        if ahead.char(ahead.at + 1) != "|" or self._line_is_row:
            self._owes_comma = True
            return ahead.at + 1
        start = ahead.at + 2
        found = ahead.match(_SPOILER, max_chars=_SPOILER_MAX_CHARS)
        if found is None:
            ahead.wait_within(_SPOILER_MAX_CHARS, until="\n\n")
            return start
        self._say(self._phrases.spoiler)
        return found.end()

    def _exclamation(self, ahead: _Ahead) -> int:
        if ahead.char(ahead.at + 1) != "[":
            self._say("!")
        return ahead.at + 1  # an image is read as the link that it is

    def _bracket(self, ahead: _Ahead) -> int:
        text = ahead.match(_BRACKETS, max_chars=_LINK_MAX_CHARS)
        if text is None:
            ahead.wait_within(_LINK_MAX_CHARS)
            self._say("[")
            return ahead.at + 1
        following = ahead.char(text.end()) if text.end() < ahead.at + _LINK_MAX_CHARS else ""
        if following == "(":
            target = ahead.match(_LINK_TARGET, at=text.end(), max_chars=_LINK_MAX_CHARS)
            if target is not None:
                self._say(self._inner(text[1], self._name_of) or self._phrases.link)
                return target.end()
            ahead.wait_within(_LINK_MAX_CHARS)
        if _FOOTNOTE_OR_BOX.fullmatch(text[0]):
            if following == ":" and (self._new_lines or not self._last):
                self._drops_line = True  # the footnote itself
            self._drop()
            return text.end()
        self._say("[")
        return ahead.at + 1

    def _inner(self, text: str, name_of: NameOf | None = None) -> str:
        inner = SpeakableText(
            phrases=self._phrases, name_of=name_of, time_in_words=self._time_in_words
        )
        inner._at_line_start = False
        return (inner.push(text) + inner.flush()).strip()

    def _angle(self, ahead: _Ahead) -> int:
        for pattern, reader in _ANGLES:
            found = ahead.match(pattern, max_chars=_ANGLE_MAX_CHARS)
            if found is not None:
                reader(self, found)
                return found.end()
        if _MAY_BE_ANGLE.fullmatch(ahead.text, ahead.at):
            ahead.wait_within(_ANGLE_MAX_CHARS)
        self._say("<")
        return ahead.at + 1

    def _mention(self, found: re.Match[str]) -> None:
        kind: MentionKind = "channel" if found[1] == "#" else "role" if found[1] == "@&" else "user"
        unknown = self._phrases.channel if kind == "channel" else self._phrases.somebody
        name = self._name_of(kind, int(found[2])) if self._name_of is not None else None
        self._say(self._inner(name or "") or unknown)

    def _timestamp(self, found: re.Match[str]) -> None:
        if self._time_in_words is None:
            self._drop()
        else:
            self._say(self._time_in_words(int(found[1]), found[2] or "f").strip())

    def _command(self, found: re.Match[str]) -> None:
        self._say(found[1])

    def _custom_emoji(self, found: re.Match[str]) -> None:
        self._drop()

    def _guild_link(self, found: re.Match[str]) -> None:
        self._say(self._phrases.channel)

    def _bracketed_url(self, found: re.Match[str]) -> None:
        self._say(self._phrases.link)

    def _tag(self, found: re.Match[str]) -> None:
        if found[1].lower() in _LINE_TAGS:
            self._end_line()

    def _ampersand(self, ahead: _Ahead) -> int:
        entity = ahead.match(_ENTITY)
        if entity is None:
            if _MAY_BE_ENTITY.fullmatch(ahead.text, ahead.at):
                ahead.char(len(ahead.text))
            self._say("&")
            return ahead.at + 1
        meant = html.unescape(entity[0])
        if meant == entity[0]:
            self._say("&")
            return ahead.at + 1
        self._say(self._inner(meant))
        return entity.end()

    def _backslash(self, ahead: _Ahead) -> int:
        escaped = ahead.char(ahead.at + 1)
        if not escaped or escaped.isalnum() or escaped.isspace() or not escaped.isascii():
            self._drop()
            return ahead.at + 1
        if escaped not in _SILENT_ESCAPES:
            self._say(escaped)
        return ahead.at + 2

    def _colon(self, ahead: _Ahead) -> int:
        if not self._is_in_word:
            found = ahead.match(_SHORTCODE)
            if found is not None:
                ahead.char(found.end())
                self._drop()
                return found.end()
            if _MAY_BE_SHORTCODE.fullmatch(ahead.text, ahead.at):
                ahead.char(len(ahead.text))
        self._say(":")
        return ahead.at + 1

    def _at_sign(self, ahead: _Ahead) -> int:
        if self._is_in_word or not ahead.char(ahead.at + 1).isalpha():
            self._say("@")
        return ahead.at + 1

    def _letter(self, ahead: _Ahead) -> int:
        """An h or a w: an address may begin."""
        if not self._is_in_word or _UNSPACED.match(self._last):
            url = ahead.match(_URL, max_chars=_URL_MAX_CHARS)
            if url is not None:
                if url.end() < ahead.at + _URL_MAX_CHARS:
                    ahead.char(url.end())
                behind = _AFTER_URL.search(url[0])
                assert behind is not None  # it matches nothing, too
                self._say(self._phrases.link)
                return ahead.at + behind.start()
            rest = ahead.text[ahead.at :].lower()
            if any(start.startswith(rest) for start in _URL_STARTS):
                ahead.char(len(ahead.text))
        self._say(ahead.first)
        return ahead.at + 1

    def _dash(self, ahead: _Ahead) -> int:
        dashes = ahead.run(_DASHES)
        end = ahead.at + len(dashes)
        if ahead.char(end) == ">":
            self._owes_comma = True
            return end + 1
        self._say(dashes if len(dashes) == 1 else "—" if dashes[0] == "-" else "=")
        return end

    # What is said.

    @property
    def _is_in_word(self) -> bool:
        return self._last.isalnum() and not self._owes_space and not self._new_lines

    def _say(self, words: str) -> None:
        if not words:
            self._drop()
            return
        if not self._last or self._new_lines:
            pass
        elif self._owes_comma:
            self._out.append(" " if self._last in _ENDS_ITSELF else ", ")
        elif self._owes_space and not (self._has_dropped and words[0] in _NO_SPACE_BEFORE):
            self._out.append(" ")
        self._out.append(words)
        self._last = words[-1]
        self._new_lines = 0
        self._owes_space = self._owes_comma = self._has_dropped = False

    def _drop(self) -> None:
        self._owes_space = self._has_dropped = True

    def _end_line(self) -> None:
        self._end_item()
        if self._last and self._new_lines < 2:
            self._out.append("\n")
            self._new_lines += 1
        self._owes_space = self._owes_comma = self._has_dropped = False
        self._at_line_start = True

    def _break_line(self) -> None:
        """What follows stands on a line of its own."""
        if not self._new_lines:
            self._end_line()

    def _end_item(self) -> None:
        """A heading, an item or a row ends as a sentence."""
        if self._line_is_item and self._last and not self._new_lines:
            stop = _stop_after(self._last)
            self._out.append(stop)
            self._last = stop or self._last
        self._line_is_item = self._line_is_row = False


def _stop_after(last: str) -> str:
    if last in _ENDS_ITSELF or _WITHOUT_STOPS.match(last):
        return ""
    if _UNSPACED.match(last):
        return "。"
    return "।" if _INDIC.match(last) else "."


_Reader = Callable[[SpeakableText, _Ahead], int]
_READERS: dict[str, _Reader] = {
    "\n": SpeakableText._new_line,
    "`": SpeakableText._backticks,
    "*": SpeakableText._asterisks,
    "_": SpeakableText._underscores,
    "~": SpeakableText._tildes,
    "|": SpeakableText._bar,
    "!": SpeakableText._exclamation,
    "[": SpeakableText._bracket,
    "<": SpeakableText._angle,
    "&": SpeakableText._ampersand,
    "\\": SpeakableText._backslash,
    ":": SpeakableText._colon,
    "@": SpeakableText._at_sign,
    **dict.fromkeys("hHwW", SpeakableText._letter),
    **dict.fromkeys("-=", SpeakableText._dash),
}
_ANGLES: tuple[tuple[re.Pattern[str], Callable[[SpeakableText, re.Match[str]], None]], ...] = (
    (_MENTION, SpeakableText._mention),
    (_TIMESTAMP, SpeakableText._timestamp),
    (_COMMAND, SpeakableText._command),
    (_CUSTOM_EMOJI, SpeakableText._custom_emoji),
    (_GUILD_LINK, SpeakableText._guild_link),
    (_BRACKETED_URL, SpeakableText._bracketed_url),
    (_TAG, SpeakableText._tag),
)
