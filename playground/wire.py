"""JSON as Discord speaks it: compact, UTF-8, and with the plain content type its clients expect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

Payload = dict[str, Any]
"""An object on the wire, in the shape of Discord's API v10."""

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def to_json(data: object) -> str:
    return _encode(data)


def respond(
    data: object = None, *, status: int | None = None, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Answer with JSON, or with 204 and no body where `data` is None."""
    if data is None:
        return web.Response(status=status or 204, headers=headers)
    return web.Response(
        status=status or 200,
        body=_encode(data).encode("utf-8", "replace"),
        content_type="application/json",
        headers=headers,
    )
