"""How near the token estimate is to what a vocabulary counts.

    python -m benchmarks.context_tokens

Over the texts of `token_corpus` and against every vocabulary of tiktoken that is at hand. Only
texts of 20 to 300 tokens count: below, half a token of rounding is already some per cent. The
goals hold for o200k_base, to which the estimate is calibrated; the older cl100k_base cuts most
scripts but English finer, and there the provider's own figures correct the estimate.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from typing import Any

from benchmarks.token_corpus import TEXTS
from services.tokens import estimate_tokens

VOCABULARIES = ("o200k_base", "cl100k_base")
LOAD_TIMEOUT_S = 5.0
LEAST_TOKENS, MOST_TOKENS = 20, 300

# Against the first vocabulary, for each of these kinds.
GOAL_KINDS = ("English", "German", "Chinese", "Japanese", "Arabic", "code", "emoji")
MEAN_ERROR_GOAL = 0.08
WORST_UNDER_GOAL = 0.10


@dataclass(frozen=True, slots=True)
class KindErrors:
    """The estimate against one vocabulary over the texts of one kind."""

    vocabulary: str
    kind: str
    texts: int
    true_tokens: int
    estimated_tokens: int
    mean_error: float  # of the texts' errors, without their sign; 0.05: five per cent
    worst_under: float  # the text that is furthest under-estimated; 0: none is

    @property
    def has_goal(self) -> bool:
        return self.vocabulary == VOCABULARIES[0] and self.kind in GOAL_KINDS

    @property
    def meets_goal(self) -> bool:
        return self.mean_error <= MEAN_ERROR_GOAL and self.worst_under <= WORST_UNDER_GOAL


def token_errors() -> list[KindErrors]:
    """One entry for each vocabulary at hand and each kind of text."""
    return [
        _errors(vocabulary, encoding, kind, texts)
        for vocabulary in VOCABULARIES
        if (encoding := _load(vocabulary)) is not None
        for kind, texts in TEXTS.items()
    ]


def _errors(vocabulary: str, encoding: Any, kind: str, texts: tuple[str, ...]) -> KindErrors:
    pairs = [(len(encoding.encode_ordinary(text)), estimate_tokens(text)) for text in texts]
    pairs = [pair for pair in pairs if LEAST_TOKENS <= pair[0] <= MOST_TOKENS]
    errors = [estimated / true - 1 for true, estimated in pairs]
    return KindErrors(
        vocabulary,
        kind,
        texts=len(pairs),
        true_tokens=sum(true for true, _ in pairs),
        estimated_tokens=sum(estimated for _, estimated in pairs),
        mean_error=sum(map(abs, errors)) / len(errors),
        worst_under=max(0.0, -min(errors)),
    )


def _load(vocabulary: str) -> Any:
    """The encoding, or None where it does not come soon: tiktoken fetches without a timeout."""
    loaded: list[Any] = []

    def load() -> None:
        try:
            import tiktoken

            loaded.append(tiktoken.get_encoding(vocabulary))
        except Exception:  # not installed, no network, a damaged file: not at hand
            pass

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    thread.join(LOAD_TIMEOUT_S)
    return loaded[0] if loaded else None


def print_token_errors() -> bool:
    """Whether the goals are met; True where there is no vocabulary to measure against."""
    every = token_errors()
    if not every:
        print("no vocabulary at hand: pip install tiktoken and a network, or TIKTOKEN_CACHE_DIR")
        return True
    for vocabulary in dict.fromkeys(errors.vocabulary for errors in every):
        print(f"\nToken estimate against {vocabulary}, texts of 20 to 300 tokens")
        print(f"  {'kind':<14}{'texts':>6}{'true':>8}{'estimated':>11}{'error':>9}{'under':>9}")
        for errors in every:
            if errors.vocabulary != vocabulary:
                continue
            mark = ("ok" if errors.meets_goal else "MISSED") if errors.has_goal else ""
            print(
                f"  {errors.kind:<14}{errors.texts:>6}{errors.true_tokens:>8}"
                f"{errors.estimated_tokens:>11}{errors.mean_error:>9.1%}"
                f"{errors.worst_under:>9.1%}  {mark}".rstrip()
            )
    print("\nerror: mean of the texts' errors, goal ≤ 8 %; under: worst of the texts, goal ≤ 10 %")
    return all(errors.meets_goal for errors in every if errors.has_goal)


if __name__ == "__main__":
    sys.exit(not print_token_errors())
