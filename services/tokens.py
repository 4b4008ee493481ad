"""Tokens as the model in use counts them: with its own vocabulary, else by a calibrated estimate.

A reply never waits for the vocabulary: it is fetched and read in a thread, and until it is there
the estimate counts. Where it cannot be had (an unknown or local model, tiktoken not installed, no
network) the estimate stays, moved by the usage that the provider reports.

The estimate cuts a text as the common tokenizers do and gives every piece the mean price that
running text of its script has in o200k_base, with a small margin on top: a budget that is a
little too careful is the cheaper mistake. `benchmarks/context_tokens.py` prints how near it is.
Counts are for budgets, never for billing.
"""

from __future__ import annotations

import logging
import re
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

# What the wrapping of one chat message costs besides its text.
MESSAGE_OVERHEAD_TOKENS = 4


def _word_set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# In the order in which they are tried. A word takes the space before it along.
_PIECES = re.compile(
    r"(?P<latin>[ ._(/<\t'-]?(?:[A-ZÀ-ÖØ-Þ]*[a-zß-öø-ɏḀ-ỿ]+|[A-ZÀ-ÖØ-Þ]+)"
    r"(?:'(?:[stmd]|re|ve|ll)\b)?)"
    r"|(?P<digits>\d{1,3})"
    r"|(?P<marks> ?[!-/:-@\[-`{-~]+[\r\n/]*)"
    r"|(?P<blank>\s*[\r\n]+|\s+(?!\S)|\s(?=\d))"
    r"|(?P<han> ?[\u3400-\u9fff\uf900-\ufaff]+)"
    r"|(?P<kana> ?[\u3040-\u30ff\u3130-\u318f]+)"
    r"|(?P<word> ?[\u0370-\u058f\u0591-\u0605\u0610-\u061a\u0620-\u0669\u066e-\u06d3\u06d5-\u0963"
    r"\u0966-\u0dff\uac00-\ud7a3]+)"
    r"|(?P<thai> ?[\u0e00-\u0eff]+)"
    # Punctuation beyond ASCII, and the few emoji that are one token.
    r"|(?P<one> ?[\u00a1-\u00bf\u060c\u061b\u061f\u066a-\u066d\u06d4\u0964\u0965\u200d"
    r"\u2010-\u22ff\u2500-\u25ff\u3000-\u303f\ufe0f\uff00-\uff65"
    r"❤🏻🏼👇👉👌👍👏💕🔥😀😁😂😉😊😍😘😭🙂🙏🤣✨✅⭐])"
    # Emoji whose first three bytes are one token.
    r"|(?P<two> ?[\u2300-\u24ff\u2600-\u27bf"
    r"\U0001f000-\U0001f53f\U0001f600-\U0001f6bf\U0001f900-\U0001f97f])"
    r"|(?P<letters> ?[^\W\d_]+)"
    r"|(?P<three> ?\S)"
    r"|(?P<rest>\s)"
)

_FIXED = {"digits": 1, "blank": 1, "rest": 1, "one": 1, "two": 2, "three": 3}

# Tokens of a word: a start and so much a letter, at least one. The script is read off the word's
# last letter: where it begins, and its prices.
_OTHER_SCRIPT = (0.17, 0.37)
_SCRIPTS = {
    "\u0370": _OTHER_SCRIPT,  # Greek
    "\u0400": (0.79, 0.15),  # Cyrillic
    "\u0530": _OTHER_SCRIPT,  # Armenian, Hebrew
    "\u0600": (0.37, 0.34),  # Arabic
    "\u0700": _OTHER_SCRIPT,
    "\u0900": (0.34, 0.29),  # Devanagari and its neighbours
    "\u0e00": _OTHER_SCRIPT,
    "\uac00": (0.55, 0.59),  # Hangul
}
_SCRIPT_BEGINS = list(_SCRIPTS)
_SCRIPT_PRICES = list(_SCRIPTS.values())
_ARABIC_THE, _ARABIC_THE_PRICE = "ال", (0.28, 0.25)  # the article, mostly within a token
_WITHOUT_SPACE = 0.12  # more a letter: vocabularies know words by the space before them

# Tokens a character where words are not parted.
_RUNS = {"han": 0.86, "kana": 0.82, "thai": 0.42}

# Common enough in chat to be one token each, whatever their length.
_COMMON_WORDS = _word_set(
    "هذا هذه ذلك التي الذي كان كانت لكن حتى بعد قبل عند عندما كيف لماذا ماذا أين هناك فقط أيضا جدا "
    "اليوم مرة كثير كثيرا يمكن يكون خلال بين مثل كما لأن إذا أنت أنا نحن الآن شيء يوم الناس الله "
    "غير أكثر سوف ليس لدي لقد منذ حول بعض دون تحت فوق أول الوقت العمل البيت السلام عليكم إلى على "
    "ولا وقت خير أحد واحد كبير صغير جديد "
    "что как это все всё ещё если или когда меня тебя тебе было быть есть очень может можно надо "
    "нужно только уже чтобы потому почему даже просто больше после перед через сейчас сегодня "
    "завтра вчера здесь этот эта эти который которые тоже хорошо спасибо привет пожалуйста время "
    "лет года день дня так там тут где кто они она мне нас вас вам нам его него ему для без при "
    "под над про год работа работать человек людей люди знаю знает хочу думаю говорит делать "
    "сделать всегда никогда ничего несколько много мало лучше другой другие жизнь вопрос ответ "
    "हैं में नहीं मैं मैंने तुम मेरा मेरे मेरी मुझे उसे उन्हें लिए लेकिन क्या क्यों कैसे कहाँ कौन कोई कुछ बहुत अच्छा "
    "अच्छी काम समय दिन साल बाद पहले साथ पास रहा रही रहे गया करना करने करता करते सकता सकते हुए होता "
    "होती वाला तीन लोग बात चाहिए अगर फिर"
)
_COMMON = re.compile(
    "ありがとうございま(?:す|した)|ありがとう|でしょう|ください|でした|ました|ません|かった"
    "|という|です|ます|した|して|から|まで|ない|って|こと|もの|ので|には|では|でも|だけ|よう|れば"
    "|いい|いる|ある|これ|それ|この|その|もう|また|さん|ちゃん|ゲーム|サイト|ページ|コード"
    "|为什么|是不是|有没有|我们|他们|什么|怎么|没有|可以|这个|那个|这些|一个|一下|一样|一起|一点"
    "|今天|昨天|现在|时候|时间|觉得|知道|如果|因为|所以|但是|还是|不是|就是|只是|已经|应该|可能"
    "|喜欢|朋友|大家|自己|谢谢|最近|最后|晚上|真的|非常|所有|需要|不能|不会|开始|使用|问题|推荐"
    "|手机|电脑|游戏|电影|老师|学习|工作|公司"
)
_COMMON_SAVES = 0.83  # a character of theirs, less the one token

# Words that only English is full of: where they are many, long words are one token.
_ENGLISH = _word_set(
    "the and of you it is that for with this have are not but what your from they can just be if "
    "my how when would could there about like know i'm it's don't can't that's"
)
_ENGLISH_SHARE = 0.12

# Letters of the Latin languages that vocabularies were trained on less, and Ukrainian's.
_ACCENTED = re.compile("[à-öø-ÿ]")
_EXTENDED = re.compile("[Ā-ɏ]")
_NOT_RUSSIAN = re.compile("[іїєґўђјљњћџ]")

# A line of these is a token for every 64; of other marks, for every eight.
_RULERS = frozenset("=-*_.#~/")


def estimate_tokens(text: str) -> int:
    """About how many tokens a model sees in `text`."""
    total = 0.0
    words = english = long_words = capitals = 0
    beyond_four = beyond_ten = 0  # letters
    for match in _PIECES.finditer(text):
        kind = match.lastgroup or "rest"
        if kind == "latin":
            piece = match.group()
            word = piece if piece[0].isalpha() else piece[1:]
            words += 1
            if word.lower() in _ENGLISH:
                english += 1
            length = len(word)
            if length > 4:
                long_words += 1
                beyond_four += length - 4
                capitals += word[0] < "a"
                if length > 10:
                    beyond_ten += length - 10
                    total += 0.25 * max(0, length - 16)  # a run of letters, not a word
                if word.isupper():
                    total += 0.2 * (length - 4)
        elif kind in _FIXED:
            total += _FIXED[kind]
        elif kind == "marks":
            total += _marks_tokens(match.group())
        elif kind in _RUNS:
            total += _RUNS[kind] * (match.end() - match.start())
        else:
            word = match.group()
            start, a_letter = _SCRIPT_PRICES[bisect_right(_SCRIPT_BEGINS, word[-1]) - 1]
            if word[0] != " ":
                a_letter += _WITHOUT_SPACE
            else:
                word = word[1:]
                if word in _COMMON_WORDS:
                    start, a_letter = 1.0, 0.0
                elif word.startswith(_ARABIC_THE):
                    start, a_letter = _ARABIC_THE_PRICE
            total += max(1.0, start + a_letter * len(word))
    if words:
        total += 1.02 * words + 0.03 * beyond_four + 0.12 * beyond_ten + 0.2 * capitals
        foreign = max(0.0, 1 - english / words / _ENGLISH_SHARE)
        accents = extended = 0
        if foreign and not text.isascii():
            accents, extended = len(_ACCENTED.findall(text)), len(_EXTENDED.findall(text))
        # 0 for Spanish or German, 1 for Polish, Hungarian or Turkish.
        rare = min(1.0, max(0.0, (accents / 2 + extended) / words - 0.12) / 0.2)
        total += foreign * (0.12 * beyond_four + 0.1 * (accents + extended))
        total += foreign * rare * (0.15 * beyond_four + 0.5 * long_words)
    if not text.isascii():
        total -= sum(_COMMON_SAVES * len(common) - 1 for common in _COMMON.findall(text))
        total += 0.6 * len(_NOT_RUSSIAN.findall(text))
    return int(total + 0.5)


def _marks_tokens(marks: str) -> float:
    """Tokens of a run of ASCII punctuation: short ones are one, rulers are cheap."""
    length = len(marks)
    if length <= 3:
        return 1.0
    if length > 8 and len(set(marks.strip())) <= 2:
        return 1 + length / (64 if marks.strip()[0] in _RULERS else 8)
    return 1 + 0.33 * (length - 3)


_MEMO_TEXTS = 4096

_NOT_INSTALLED = "tokens are estimated: tiktoken is not installed"
_NOT_KNOWN = "tokens are estimated: the model's vocabulary is not known"
_NOT_REACHABLE = "tokens are estimated: the vocabulary could not be fetched"

# How the provider's figures move the estimate.
_CORRECTION_WEIGHT = 0.25  # of the newest figure
_CORRECTION_STEP = 0.05  # smaller changes would only unsettle the prompts
_LEAST_FACTOR, _MOST_FACTOR = 0.6, 3.0
_LEAST_PROMPT_TOKENS = 50  # below, the wrapping outweighs the text


@dataclass(slots=True)
class _Method:
    """One way of counting, with what it has counted: a change of method forgets both at once."""

    encode: Callable[[str], list[int]] | None = None  # None: the estimate
    factor: float = 1.0
    memo: OrderedDict[int, int] = field(default_factory=OrderedDict)  # hash of a text → its tokens


class TokenCounter:
    """Tokens as the model in use counts them: its own vocabulary, else a calibrated estimate.

    Use it from one thread; only the vocabulary comes from another.

    Args:
        model: the model's name, with or without a vendor's prefix ("openai/gpt-4.1-mini").
        load_timeout_s: after this long a vocabulary that has not come is said to be missing.
            It is still taken if it comes later.
    """

    def __init__(self, model: str = "", *, load_timeout_s: float = 20.0) -> None:
        self.model = model
        self._load_timeout_s = load_timeout_s
        self._method = _Method()
        self._wanted_factor = 1.0
        self._deadline: threading.Timer | None = None
        self._loading = object()  # of which load the result is awaited
        self._lock = threading.Lock()
        self._said: set[str] = set()

    def open(self) -> None:
        """Start to load the model's vocabulary and return at once."""
        with self._lock:
            loading = self._loading = object()
        self._cancel_deadline()
        self._deadline = threading.Timer(self._load_timeout_s, self._late, [loading, self.model])
        self._deadline.daemon = True
        self._deadline.start()
        # A fetch can hang for ever: a daemon thread does not keep the process from ending.
        threading.Thread(
            target=self._load,
            args=(loading, self.model, self._deadline),
            name="token vocabulary",
            daemon=True,
        ).start()

    async def aclose(self) -> None:
        """Stop waiting for the vocabulary. A fetch that hangs is left behind."""
        with self._lock:
            self._loading = object()
        self._cancel_deadline()

    def use_model(self, name: str) -> None:
        """Count for another model from now on; its vocabulary is loaded in the background."""
        if name == self.model:
            return
        self.model = name
        with self._lock:
            self._loading = object()
            self._method = _Method()
        self._wanted_factor = 1.0
        self.open()

    @property
    def is_exact(self) -> bool:
        """Whether the model's own vocabulary counts."""
        return self._method.encode is not None

    def count(self, text: str) -> int:
        """How many tokens the model sees in `text`; remembered, without keeping the text."""
        method = self._method
        key = hash(text)
        tokens = method.memo.get(key)
        if tokens is not None:
            method.memo.move_to_end(key)
            return tokens
        if method.encode is not None:
            tokens = len(method.encode(text))
        else:
            tokens = int(estimate_tokens(text) * method.factor + 0.5)
        method.memo[key] = tokens
        if len(method.memo) > _MEMO_TEXTS:
            method.memo.popitem(last=False)
        return tokens

    def correct(self, *, counted: int, reported: int) -> None:
        """Learn from a prompt that was counted here and whose tokens the provider reported."""
        method = self._method
        if method.encode is not None or counted < _LEAST_PROMPT_TOKENS or reported <= 0:
            return
        seen = min(_MOST_FACTOR, max(_LEAST_FACTOR, method.factor * reported / counted))
        self._wanted_factor += _CORRECTION_WEIGHT * (seen - self._wanted_factor)
        if abs(self._wanted_factor / method.factor - 1) > _CORRECTION_STEP:
            with self._lock:
                if self._method is method:
                    self._method = _Method(factor=self._wanted_factor)

    def _load(self, loading: object, model: str, deadline: threading.Timer) -> None:
        """In a thread of its own: read the vocabulary and count with it."""
        try:
            encode = _vocabulary(model)
        except ImportError:
            self._say_once(loading, logging.INFO, _NOT_INSTALLED)
        except KeyError:
            self._say_once(loading, logging.INFO, _NOT_KNOWN, model=model)
        except Exception as error:  # requests, tiktoken and the disk have no error in common
            self._say_once(loading, logging.WARNING, _NOT_REACHABLE, model=model, cause=repr(error))
        else:
            with self._lock:
                if self._loading is loading:
                    self._method = _Method(encode)
        finally:
            deadline.cancel()

    def _late(self, loading: object, model: str) -> None:
        """In the deadline's thread."""
        self._say_once(loading, logging.WARNING, _NOT_REACHABLE, model=model, cause="timeout")

    def _say_once(self, loading: object, level: int, message: str, **fields: str) -> None:
        with self._lock:
            if self._loading is not loading or message in self._said:
                return
            self._said.add(message)
        log.log(level, message, extra=fields)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()


def _vocabulary(model: str) -> Callable[[str], list[int]]:
    """Blocks, for ever when the vocabulary's server is silent.

    Raises:
        ImportError: tiktoken is not installed.
        KeyError: tiktoken does not know the model.
        Exception: the vocabulary could not be fetched or read.
    """
    import tiktoken

    bare = model.rsplit("/", 1)[-1]
    for name in (model, bare, bare.replace(":", "-")):  # "openai/gpt-4o", "gpt-oss:20b"
        try:
            encoding_name = tiktoken.encoding_name_for_model(name)
        except KeyError:
            continue
        # Ordinary: "<|endoftext|>" in a person's message is text, not a command.
        return tiktoken.get_encoding(encoding_name).encode_ordinary
    raise KeyError(model)
