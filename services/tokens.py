"""Token estimates without a vocabulary.

Word pieces are counted by script: a Latin word is about one token for every four and a half
characters, a CJK character about one, punctuation and digits about one each. Within some
20 % of the common tokenizers; used for budgets, never for billing.
"""

from __future__ import annotations

import re

_PIECES = re.compile(
    r"(?P<latin>[A-Za-z]+)"
    r"|(?P<digits>\d+)"
    r"|(?P<cjk>[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])"
    r"|(?P<word>[^\W\d_]+)"
    r"|(?P<other>[^\s])"
)

# What the wrapping of one chat message costs besides its text.
MESSAGE_OVERHEAD_TOKENS = 4


def estimate_tokens(text: str) -> int:
    """About how many tokens a model sees in `text`."""
    total = 0.0
    for match in _PIECES.finditer(text):
        length = match.end() - match.start()
        kind = match.lastgroup
        if kind == "latin":
            total += 1 if length <= 6 else length / 4.5
        elif kind == "digits":
            total += -(-length // 3)
        elif kind == "word":
            total += max(1.0, length / 2.5)
        else:
            total += 1
    return int(total + 0.5)
