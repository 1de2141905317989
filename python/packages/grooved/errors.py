"""Exceptions of the package."""

from __future__ import annotations

from typing import Optional


class Error(Exception):
    """The base of all exceptions that this package raises about the daemon and the connection to it."""


class Unreachable(Error):
    """No connection could be opened: wrong host, port or token, or something other than grooved listens there.

    Attributes:
        url: The URL that was tried.
        message: What went wrong.
        status: The HTTP status with which the request was rejected (401: the token is missing or wrong), else None.
    """

    def __init__(self, url: str, message: str, status: Optional[int] = None) -> None:
        super().__init__(url, message, status)
        self.url = url
        self.message = message
        self.status = status

    def __str__(self) -> str:
        return f"cannot connect to {self.url}: {self.message}"


class Refused(Error):
    """A request that the daemon did not carry out.

    Attributes:
        path: The path of the request; None for the DDSP stream.
        argument: The name of the argument (for the DDSP stream: of the field) that is wrong; None: none of them is.
        message: What is wrong and what is expected, as the daemon puts it.
    """

    def __init__(self, path: Optional[str], argument: Optional[str], message: str) -> None:
        super().__init__(path, argument, message)
        self.path = path
        self.argument = argument
        self.message = message

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class Closed(Error):
    """The connection has ended. Requests that were not answered may or may not have been carried out.

    Attributes:
        code: The code of the closing handshake: 1000 if this client closed it, 1001 if grooved was shut down, 1006 if
            the connection was lost without a handshake; docs/protocol/websocket.md lists the others.
        reason: The reason in words; may be empty.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"the connection was closed ({self.code}{': ' if self.reason else ''}{self.reason})"


class TimedOut(Error):
    """A request that was not answered in time. It may still be carried out."""
