"""A fast model may pass a message on: it says one agreed word, and the main model is asked instead.

The request to the fast model carries a line about the word; no other request does. Of its answer,
only what may still become the word or a plain refusal is held back, a few characters as a rule.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.llm.dialect import Message

DECLINE_WORD = "ESCALATE"
DECLINE_INSTRUCTION = (
    f"If a good answer needs a more capable model than you, reply with the single word "
    f"{DECLINE_WORD} and nothing else."
)

_AROUND_WORD = " \t\r\n*_`'\".!…<>[]()“”"
_APOSTROPHES = str.maketrans("’‘", "''")
_REFUSALS = (
    "i'm sorry, but i can't",
    "i'm sorry, but i cannot",
    "i'm sorry, but i am unable",
    "i'm sorry, but i'm unable",
    "i'm sorry, but i'm not able",
    "i'm sorry, i can't",
    "i'm sorry, i cannot",
    "i am sorry, but i can't",
    "i am sorry, but i cannot",
    "sorry, but i can't",
    "sorry, i can't",
    "i can't assist",
    "i cannot assist",
    "i can't help with",
    "i cannot help with",
    "i'm unable to",
    "i am unable to",
    "as an ai language model",
    "as a language model",
    "as an ai model",
    "es tut mir leid, aber ich kann",
    "als ki-sprachmodell",
    "je suis désolé, mais je ne peux pas",
    "en tant que modèle de langage",
    "lo siento, pero no puedo",
    "como modelo de lenguaje",
    "mi dispiace, ma non posso",
    "desculpe, mas não posso",
    "извините, но я не могу",
    "抱歉，我无法",
    "申し訳ありませんが、",
)


def may_decline(messages: Sequence[Message]) -> list[Message]:
    """The messages with the instruction at the end of the first system message."""
    first, *rest = messages or [{}]
    if first.get("role") != "system":
        return [{"role": "system", "content": DECLINE_INSTRUCTION}, *messages]
    content = first["content"]
    if isinstance(content, list):
        content = [*content, {"type": "text", "text": DECLINE_INSTRUCTION}]
    else:
        content = f"{content}\n\n{DECLINE_INSTRUCTION}"
    return [{**first, "content": content}, *rest]


class Opening:
    """The first words of an answer that may be none. `push` each piece, `flush` at the end.

    Attributes:
        is_declined: the model passed the message on; nothing of the answer was given out.
    """

    def __init__(self) -> None:
        self.is_declined = False
        self._held = ""
        self._settled = False

    def push(self, text: str) -> str:
        """The part of the answer that is certain now; may be empty."""
        if self.is_declined:
            return ""
        if self._settled:
            return text
        self._held += text
        start = self._held.lstrip().translate(_APOSTROPHES).casefold()
        if start.startswith(_REFUSALS) or self._is_word_and_more():
            self._decline()
            return ""
        if any(refusal.startswith(start) for refusal in _REFUSALS) or self._may_be_word():
            return ""
        return self._release()

    def flush(self) -> str:
        """What was held back at the end."""
        if self._held.strip(_AROUND_WORD).casefold() == DECLINE_WORD.casefold():
            self._decline()
        return self._release()

    def _decline(self) -> None:
        self.is_declined = True
        self._held = ""

    def _release(self) -> str:
        self._settled = True
        held, self._held = self._held, ""
        return held

    def _may_be_word(self) -> bool:
        return DECLINE_WORD.casefold().startswith(self._held.strip(_AROUND_WORD).casefold())

    def _is_word_and_more(self) -> bool:
        """The word as it was agreed, and its end."""
        start = self._held.lstrip(_AROUND_WORD)
        after = start.removeprefix(DECLINE_WORD)
        return after != start and after != "" and not after[0].isalnum()
