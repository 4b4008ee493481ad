"""Refusals: what this Discord says no to.

One exception serves both sides: the bot gets Discord's status, code and words, a person
on the page gets one sentence.
"""

from __future__ import annotations

from .wire import Payload


class Refusal(Exception):
    """A request that is turned down.

    Args:
        status: the HTTP status.
        code: Discord's JSON error code.
        message: Discord's own words for it.
        errors: the tree of faulty fields (code 50035).
        sentence: the same for a person on the page.
    """

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        *,
        errors: Payload | None = None,
        sentence: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.errors = errors
        self.sentence = sentence or f"{message.rstrip('.')}."

    def payload(self) -> Payload:
        body: Payload = {"message": self.message, "code": self.code}
        if self.errors is not None:
            body["errors"] = self.errors
        return body


_UNKNOWN = {
    "channel": (10003, "Unknown Channel", "That channel is gone."),
    "guild": (10004, "Unknown Guild", "That server does not exist."),
    "member": (10007, "Unknown Member", "That person is not on this server."),
    "message": (10008, "Unknown Message", "That message is gone."),
    "user": (10013, "Unknown User", "That person does not exist."),
    "emoji": (10014, "Unknown Emoji", "That is not an emoji."),
    "webhook": (10015, "Unknown Webhook", "That is no longer available."),
    "interaction": (10062, "Unknown interaction", "That is no longer available."),
    "command": (10063, "Unknown application command", "There is no such command."),
}


def unknown(thing: str) -> Refusal:
    """The 404 for a channel, guild, member, message, user, webhook, interaction or command."""
    code, message, sentence = _UNKNOWN[thing]
    return Refusal(400 if thing == "emoji" else 404, code, message, sentence=sentence)


def invalid_form(field: str, code: str, message: str, *, sentence: str | None = None) -> Refusal:
    """The 400 that names one faulty field; `field` is a path such as `components.0.custom_id`."""
    errors: Payload = {"_errors": [{"code": code, "message": message}]}
    for key in reversed(field.split(".")):
        errors = {key: errors}
    return Refusal(400, 50035, "Invalid Form Body", errors=errors, sentence=sentence or message)


def missing_access() -> Refusal:
    return Refusal(403, 50001, "Missing Access")


def missing_permissions() -> Refusal:
    return Refusal(403, 50013, "Missing Permissions", sentence="That is not allowed here.")


def for_person(sentence: str) -> Refusal:
    """A refusal that only a person on the page can meet."""
    return Refusal(400, 0, sentence, sentence=sentence)
