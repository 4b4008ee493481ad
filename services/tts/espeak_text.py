"""What eSpeak NG 1.52 may be given, whoever calls it.

Embedded commands begin with a control character, a null ends the text, and rows of symbols
(arrows, signs, emoji) overflow a buffer of the library and end the process.
"""

from __future__ import annotations

import re
import unicodedata

_LONGEST_WORD = re.compile(r"\S{40}")


def harmless(text: str) -> str:
    """The text with a space for each character that the library cannot stand."""
    kept = "".join(character if _is_harmless(character) else " " for character in text)
    return _LONGEST_WORD.sub(r"\g<0> ", kept)


def _is_harmless(character: str) -> bool:
    if character <= "\u00ff":
        return character.isprintable()
    category = unicodedata.category(character)
    return category[0] in "LMNP" or category == "Sc"
