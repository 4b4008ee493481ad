"""Errors that end as one sentence for the person and one log record for the operator.

    BotError
    ├── LLMError              (services/llm/errors.py)
    └── ...                   each package adds its own branch

Raise the most specific one, as early as the cause is known. Whoever holds the
conversation catches `BotError`, shows `sentence` and logs once.
"""

from __future__ import annotations


class BotError(Exception):
    """Something failed in a way that can be told to a person.

    Args:
        detail: for the operator; no message content, no secret.
        sentence: for the person; one plain sentence. Defaults to the class's own.
    """

    sentence: str = "Something went wrong on my side. Please try again."
    retryable: bool = False
    is_mistake: bool = False  # of the person's: nothing for the operator to do

    def __init__(self, detail: str = "", *, sentence: str | None = None) -> None:
        super().__init__(detail or self.sentence)
        if sentence is not None:
            self.sentence = sentence
