"""Addresses of the daemon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional
from urllib.parse import parse_qsl, urlencode, urlsplit

SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


@dataclass(frozen=True)
class Address:
    """A complete WebSocket URL, and the token that was part of it."""

    url: str
    token: Optional[str]


def complete(text: str, port: int, path: str) -> Address:
    """Returns the address that `text` stands for.

    Args:
        text: A URL (ws, wss, http or https), or just a host with an optional port.
        port: The port of ws and http if there is none in `text`; that of wss and https, which only a reverse proxy can
            offer, is 443.
        path: The path if there is none in `text`.

    Raises:
        ValueError: `text` is not such a URL.
    """
    expected = f"expected a host or a URL such as ws://HOST:{port}"
    parts = urlsplit(text if "://" in text else f"ws://{text}")
    scheme = SCHEMES.get(parts.scheme)
    if scheme is None:
        raise ValueError(f"url is {text!r}: unknown scheme {parts.scheme!r}; {expected}")
    try:
        number = parts.port
    except ValueError as error:
        raise ValueError(f"url is {text!r}: {error}; {expected}") from None
    if not parts.hostname:
        raise ValueError(f"url is {text!r}: it has no host; {expected}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if number is None:
        number = 443 if scheme == "wss" else port
    query = parse_qsl(parts.query, keep_blank_values=True)
    token = dict(query).get("token")
    rest = urlencode([(name, value) for name, value in query if name != "token"])
    place = path if parts.path in ("", "/") else parts.path
    return Address(f"{scheme}://{host}:{number}{place}{'?' if rest else ''}{rest}", token)
