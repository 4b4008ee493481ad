"""Files that people and the bot have sent: in memory, bounded, never run by a browser."""

from __future__ import annotations

import mimetypes
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import hdrs, web

from .errors import Refusal
from .wire import Payload

MAX_FILE_BYTES = 8 * 1024 * 1024
MAX_TOTAL_BYTES = 128 * 1024 * 1024

_SHOWN_IN_PLACE = {"image/png", "image/jpeg", "image/gif", "image/webp", "text/plain"}
_KNOWN_TYPES = mimetypes.MimeTypes()
_KNOWN_TYPES.add_type("image/webp", ".webp")
_KNOWN_TYPES.add_type("text/markdown", ".md")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way into a message."""

    filename: str
    data: bytes
    description: str | None = None

    @property
    def content_type(self) -> str:
        """Told from the name alone, as Discord does."""
        guessed = _KNOWN_TYPES.guess_type(self.filename)[0] or "application/octet-stream"
        return f"{guessed}; charset=utf-8" if guessed.startswith("text/") else guessed


class AttachmentStore:
    """Keeps files until their total passes its bound; then the oldest go first."""

    def __init__(
        self, new_id: Callable[[], str], *, max_total_bytes: int = MAX_TOTAL_BYTES
    ) -> None:
        self.base_url = ""
        self._new_id = new_id
        self._max_total_bytes = max_total_bytes
        self._total_bytes = 0
        self._files: OrderedDict[str, tuple[str, Upload]] = OrderedDict()  # id → path, file
        self._pending: OrderedDict[str, Upload] = OrderedDict()  # upload id → file

    def add_all(self, channel_id: str, uploads: Sequence[Upload]) -> list[Payload]:
        """Keep files for a channel, all or none, and describe them as attachments."""
        for upload in uploads:
            check_size(upload)
        return [self._add(channel_id, upload) for upload in uploads]

    def _add(self, channel_id: str, upload: Upload) -> Payload:
        attachment_id = self._new_id()
        path = f"/attachments/{channel_id}/{attachment_id}/{_safe_name(upload.filename)}"
        self._files[attachment_id] = (path, upload)
        self._grow(len(upload.data))
        url = self.base_url + path
        payload: Payload = {
            "id": attachment_id,
            "filename": _safe_name(upload.filename),
            "size": len(upload.data),
            "url": url,
            "proxy_url": url,
            "content_type": upload.content_type,
        }
        if upload.description:
            payload["description"] = upload.description
        return payload

    def hold(self, upload: Upload) -> str:
        """Keep a file that a person has chosen but not yet sent; returns its upload id."""
        check_size(upload)
        upload_id = secrets.token_urlsafe(12)
        self._pending[upload_id] = upload
        self._grow(len(upload.data))
        return upload_id

    def claim(self, upload_id: str) -> Upload:
        """Take a held file; each is used once."""
        upload = self._pending.pop(upload_id, None)
        if upload is None:
            raise Refusal(
                400, 50035, "Unknown upload", sentence="That upload is gone; add the file again."
            )
        self._total_bytes -= len(upload.data)
        return upload

    async def serve(self, request: web.Request) -> web.Response:
        path, upload = self._files.get(request.match_info["attachment_id"], ("", None))
        if upload is None or path != request.path:
            raise web.HTTPNotFound(text="This file is gone.")
        media_type = upload.content_type.partition(";")[0]
        placement = "inline" if media_type in _SHOWN_IN_PLACE else "attachment"
        return web.Response(
            body=upload.data,
            headers={
                hdrs.CONTENT_TYPE: upload.content_type,
                hdrs.CONTENT_DISPOSITION: f'{placement}; filename="{_safe_name(upload.filename)}"',
                hdrs.CACHE_CONTROL: "private, max-age=3600",
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": "default-src 'none'; sandbox",
            },
        )

    def _grow(self, size_bytes: int) -> None:
        self._total_bytes += size_bytes
        while self._total_bytes > self._max_total_bytes:
            if self._files:
                _, (_, oldest) = self._files.popitem(last=False)
            else:
                _, oldest = self._pending.popitem(last=False)
            self._total_bytes -= len(oldest.data)


def check_size(upload: Upload) -> None:
    if len(upload.data) > MAX_FILE_BYTES:
        raise Refusal(
            413, 40005, "Request entity too large", sentence="A file can have 8 MiB at most."
        )


def _safe_name(filename: str) -> str:
    """The name as it may stand in an address and in a header."""
    last = filename.replace("\\", "/").rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._-]", "_", last).lstrip(".")[-100:] or "file"
