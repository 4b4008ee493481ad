"""Splitting an answer into Discord messages.

`split` is stable while the text grows: all parts but the last stay as they are, because a cut
depends on nothing beyond the characters that the part could hold. Cuts fall between paragraphs,
else lines, else words; a code block that is cut is closed and opened again with its language.
"""

from __future__ import annotations

import re

MESSAGE_LIMIT_CHARS = 2000
_CLOSING = "\n```"
_PART_CHARS = MESSAGE_LIMIT_CHARS - len(_CLOSING)

_FENCE = re.compile(r"```(?:([\w+#.-]*)(?=\n))?")
# Where to cut, best first: the separator, and the part of the room that must be full before it.
_CUTS = (("\n\n", 0.5), ("\n", 0.25), (" ", 0.5))


def split(text: str, *, reserved_chars: int = 0) -> list[str]:
    """The messages that show `text`, at least one, each at most 2,000 characters.

    A code block still open at the end of the text stays open in the last part.

    Args:
        reserved_chars: room that is kept free in the first message.
    """
    parts: list[str] = []
    opening = ""  # reopens the code block that the last cut went through
    rest = text
    part_chars = _PART_CHARS - reserved_chars
    while len(opening) + len(rest) > part_chars:
        cut = _find_cut(opening, rest, part_chars - len(opening))
        part_chars = _PART_CHARS
        part = opening + rest[:cut].rstrip(" ")
        language = open_fence(part)
        rest = rest[cut:]
        if language is None:
            opening = ""
            rest = rest.lstrip("\n ") if rest.startswith("\n\n") else rest[_separator(rest) :]
        else:
            part += _CLOSING
            rest = rest[_separator(rest) :]
            if rest.startswith("```"):  # the block would have ended here anyway
                opening, rest = "", rest[3:].lstrip("\n")
            else:
                opening = f"```{language}\n"
        if part.strip():  # Discord takes no blank message
            parts.append(part)
    if rest.strip() or not parts:
        parts.append(opening + rest)
    return parts


def open_fence(text: str) -> str | None:
    """The language ("" without one) of a code block left open at the end, None when none is."""
    language: str | None = None
    for match in _FENCE.finditer(text):
        language = (match[1] or "") if language is None else None
    return language


def closed(text: str) -> str:
    """`text` with a code block left open at its end closed, so that it renders as one."""
    return text if open_fence(text) is None else text + _CLOSING


def _separator(rest: str) -> int:
    return 1 if rest[:1] in ("\n", " ") else 0


def _find_cut(opening: str, rest: str, room: int) -> int:
    window = rest[: room + 1]
    for separator, fullness in _CUTS:
        cut = window.rfind(separator, int(room * fullness))
        if cut > 0:
            fence = _last_fence_start(opening, rest[:cut])
            if fence is not None and fence > room * 0.5 and cut - fence < room * 0.3:
                return fence  # rather a whole block in the next message than two halves
            return cut
    cut = room
    while cut > room - 3 and rest[cut - 1] == "`":
        cut -= 1
    return cut


def _last_fence_start(opening: str, before_cut: str) -> int | None:
    """Where the newline before a block stands that is open at the cut and began in this part."""
    if open_fence(opening + before_cut) is None:
        return None
    start = before_cut.rfind("```")
    return start - 1 if start > 0 and before_cut[start - 1] == "\n" else None
