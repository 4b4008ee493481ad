"""Going on when an endpoint fails: whom to ask next, and how to join two halves of an answer."""

from __future__ import annotations

from collections.abc import Callable

_FAILURES_TO_REST = 3
_FIRST_REST_S = 30.0
_LONGEST_REST_S = 300.0

_OVERLAP_MAX_CHARS = 200
_OVERLAP_MIN_LETTERS = 2
_OVERLAP_INSIDE_WORD_MIN_CHARS = 8
_UNSPACED_SCRIPTS = "\u2e80"  # from here on scripts put no spaces between words

CONTINUE_INSTRUCTION = (
    "Your last message broke off in the middle. Repeat its last few words exactly as they stand, "
    "then go on from there to the end. Add no remark about the interruption."
)


class CircuitBreaker:
    """Rests an endpoint after three failures in a row: 30 s, doubling to 5 minutes.

    The first failure after a rest begins the next one.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures = 0
        self._next_rest_s = _FIRST_REST_S
        self.rests_until = float("-inf")

    @property
    def is_resting(self) -> bool:
        return self._clock() < self.rests_until

    def succeeded(self) -> None:
        self._failures = 0
        self._next_rest_s = _FIRST_REST_S
        self.rests_until = float("-inf")

    def failed(self, *, retry_after_s: float | None = None) -> None:
        """Count a failure; `retry_after_s`, when long, is a rest that the provider asked for."""
        self._failures += 1
        if self.is_resting:
            return
        if self._failures >= _FAILURES_TO_REST:
            self.rests_until = self._clock() + self._next_rest_s
            self._next_rest_s = min(2 * self._next_rest_s, _LONGEST_REST_S)
        if retry_after_s is not None:
            asked_until = self._clock() + min(retry_after_s, _LONGEST_REST_S)
            self.rests_until = max(self.rests_until, asked_until)


class Joint:
    """Joins a continuation to what was already shown: what it repeats of the end is left out.

    Text is held back only while it may still turn out to be such a repetition.
    """

    def __init__(self, shown: str) -> None:
        self._tail = shown[-_OVERLAP_MAX_CHARS:]
        self._before_tail = shown[: -len(self._tail)][-1:]
        self._held = ""
        self._settled = not shown

    def push(self, text: str) -> str:
        if self._settled:
            return text
        self._held += text
        if self._held.lstrip() in self._tail[:-1]:
            return ""  # so far a repetition, and one that may go on
        return self.flush()

    def flush(self) -> str:
        """The continuation so far, without what it repeats."""
        held, self._held = self._held, ""
        self._settled = True
        for text in (held, held.lstrip()):
            for n in range(min(len(text), len(self._tail)), 0, -1):
                if self._tail.endswith(text[:n]) and self._is_repetition(text[:n]):
                    return text[n:]
        return held

    def _is_repetition(self, overlap: str) -> bool:
        """Whether an overlap is a repeated piece rather than two equal letters side by side."""
        letters = sum(map(str.isalnum, overlap))
        if letters < _OVERLAP_MIN_LETTERS:
            return False
        if len(overlap) >= _OVERLAP_INSIDE_WORD_MIN_CHARS:
            return True
        before = (self._before_tail + self._tail)[: -len(overlap)][-1:]
        at_word = not before.isalnum() or before >= _UNSPACED_SCRIPTS
        return at_word and not overlap.strip().isdigit()
