"""Reasoning that a model writes into its answer is taken out while the text streams.

`<think>…</think>` (also thinking, reasoning) is removed where models put it: at the start of the
answer, or at the start of a line outside code fences. Anywhere else the letters are the answer's
own. How the text is cut into pieces makes no difference to what comes out.

Some chat templates open the tag in the prompt, so that the answer carries only the closing one.
What was shown before it cannot be unshown: the stray tag is dropped and `stray_close` tells that
this model's answers begin inside the reasoning. The next filter is then made with
`begins_inside=True`; should the closing tag not come, all the text is the answer after all.
"""

from __future__ import annotations

import re

_NAMES = ("think", "thinking", "reasoning")
_OPENING = tuple(f"<{name}>" for name in _NAMES)
_CLOSING = tuple(f"</{name}>" for name in _NAMES)
_TAGS = _OPENING + _CLOSING
_LONGEST_TAG_CHARS = max(map(len, _TAGS))
_ANY_CLOSING = re.compile("|".join(_CLOSING), re.IGNORECASE)
_FENCE = re.compile(r"`{3,}|~{3,}")
_INDENT_MAX_CHARS = 3  # Markdown: more makes it a code block


class ReasoningFilter:
    """One answer's text without its reasoning. `push` each piece, `flush` at the end.

    Attributes:
        stray_close: a closing tag came without its opening one.
        began_outside: `begins_inside` was wrong for this answer.
    """

    def __init__(self, *, begins_inside: bool = False) -> None:
        self.stray_close = False
        self.began_outside = False
        self._held = ""  # not yet known to be answer or reasoning
        self._closing: str | None = None  # the tag that ends the reasoning we are in
        self._presumed = begins_inside
        self._searched_chars = 0
        self._at_start = True  # nothing of the answer has come yet
        self._at_line_start = True
        self._after_reasoning = False
        self._fence = ""  # the fence that the answer's code block was opened with

    def push(self, text: str) -> str:
        """The part of the answer that is certain now; may be empty."""
        if (
            not self._held
            and not self._at_line_start
            and self._closing is None
            and not self._presumed
            and "\n" not in text
        ):
            return text
        self._held += text
        shown: list[str] = []
        while self._held and self._step(shown):
            pass
        return "".join(shown)

    def flush(self) -> str:
        """What was held back at the end. Reasoning left open is dropped."""
        held, self._held = self._held, ""
        if self._closing is not None:
            return ""
        if self._presumed:
            self._presumed = False
            self.began_outside = True
            return self.push(held) + self.flush()
        return held

    def _step(self, shown: list[str]) -> bool:
        """Settle some of the held text; False when more is needed first."""
        if self._presumed:
            return self._leave_presumed()
        if self._closing is not None:
            return self._leave_reasoning()
        if self._after_reasoning:
            return self._skip_rest_of_line()
        if self._at_line_start:
            return self._begin_line(shown)
        end = self._held.find("\n") + 1
        self._at_line_start = end > 0
        self._show(end or len(self._held), shown)
        return True

    def _show(self, n_chars: int, shown: list[str]) -> None:
        shown.append(self._held[:n_chars])
        self._held = self._held[n_chars:]
        self._at_start = False

    def _leave_presumed(self) -> bool:
        match = _ANY_CLOSING.search(self._held, self._searched_chars)
        if match is None:
            self._searched_chars = max(0, len(self._held) - _LONGEST_TAG_CHARS)
            return False
        self._presumed = False
        self._end_reasoning(match.end())
        return True

    def _leave_reasoning(self) -> bool:
        assert self._closing is not None
        found = self._held.lower().find(self._closing)
        if found < 0:
            self._held = self._held[-_LONGEST_TAG_CHARS:]
            return False
        self._end_reasoning(found + len(self._closing))
        return True

    def _end_reasoning(self, end: int) -> None:
        self._held = self._held[end:]
        self._closing = None
        self._after_reasoning = True

    def _skip_rest_of_line(self) -> bool:
        """Drop the spaces behind a closing tag and one line break; before the answer, all."""
        rest = self._held.lstrip() if self._at_start else self._held.lstrip(" \t\r")
        self._held = rest.removeprefix("\n")
        if not rest:
            return False
        self._after_reasoning = False
        self._at_line_start = True
        return True

    def _begin_line(self, shown: list[str]) -> bool:
        line = self._held.lstrip() if self._at_start else self._held.lstrip(" \t")
        indent_chars = len(self._held) - len(line)
        is_code = not self._at_start and indent_chars > _INDENT_MAX_CHARS
        if is_code or (line and line[0] not in "<`~"):
            self._at_line_start = False
            return True
        if not line:
            return False
        if line[0] == "<":
            return self._begin_with_tag(line)
        return self._begin_with_fence(line, indent_chars, shown)

    def _begin_with_tag(self, line: str) -> bool:
        lower = line[:_LONGEST_TAG_CHARS].lower()
        if not self._fence:
            for opening, closing in zip(_OPENING, _CLOSING, strict=True):
                if lower.startswith(opening):
                    self._held = line[len(opening) :]
                    self._closing = closing
                    return True
                if lower.startswith(closing):
                    self.stray_close = True
                    self._held = line
                    self._end_reasoning(len(closing))
                    return True
            if any(tag.startswith(lower) for tag in _TAGS):
                return False
        self._at_line_start = False
        return True

    def _begin_with_fence(self, line: str, indent_chars: int, shown: list[str]) -> bool:
        run = len(line) - len(line.lstrip(line[0]))
        if run == len(line):
            return False  # the run may go on
        fence = line[:run]
        if _FENCE.fullmatch(fence):
            if not self._fence:
                self._fence = fence
            elif fence.startswith(self._fence) and line[run].isspace():
                self._fence = ""
        self._show(indent_chars + run, shown)
        self._at_line_start = False
        return True
