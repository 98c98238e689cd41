"""Keeps secrets out of what is shown and written: `redact` masks them in any text, `holds_secret` finds a URI with one.

`Sink` is a text stream that redacts what goes through it, and that outlives its reader.
"""

from __future__ import annotations

import errno
import io
import os
import re
from typing import TextIO
from urllib.parse import quote

MASK = "***"

# Their values are masked wherever they turn up; shorter ones are words that any text may hold.
VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY")
SHORTEST = 4

# Lengths are bounded so that no text takes long.
_NAMES = r"[\w.-]{0,40}(?:passw(?:or)?d|passphrase|token|secret|signature|credential|(?:api|access|private)[_-]?key)[\w.-]{0,40}"
# Whose digits after a colon are a port whatever follows; a password may begin with digits, too.
_HOST = r"(?:localhost|[^\s:/?#@]{1,200}\.[^\s:/?#@]{1,200}):\d{1,5}[/?#]"
_PORT = r"\d{1,5}(?:$|[/?#](?!\S{0,2000}@))"
_URI = (
    # user:password@ - up to the last @, for one may stand in the password; digits up to a slash are a port if no @ follows.
    (re.compile(rf"(://(?!{_HOST})[^\s:/?#\[]{{0,200}}:)(?!{_PORT})\S{{1,2000}}(?=@)"), rf"\g<1>{MASK}"),
    # A user without a password is a token where there are no other users.
    (re.compile(r"(https?://)[^\s:/?#@]{1,2000}(?=@)", re.IGNORECASE), rf"\g<1>{MASK}"),
    (re.compile(rf"([?&;#](?:{_NAMES}|pwd|pass|sig|auth|key)=)[^\s&;#'\"]+", re.IGNORECASE), rf"\g<1>{MASK}"),
)
_TEXT = (
    # A header as in HTTP, in a dict or in JSON: to the end of its value.
    (
        re.compile(
            r"((?:authorization|x-api-key|x-auth-token|x-amz-security-token|cookie)\\?['\"]?\s*[:=]\s*(?:[bru](?=['\"]))?\\?['\"]?)[^'\"\\\r\n]+",
            re.IGNORECASE,
        ),
        rf"\g<1>{MASK}",
    ),
    (re.compile(r"(\bBearer )[\w.~+/=-]{8,}"), rf"\g<1>{MASK}"),
    # As libpq and drivers name it: password=...
    (re.compile(r"(\b(?:password|passwd|pwd)=)(?:'[^']+'|\"[^\"]+\"|[^\s&;,'\"]+)", re.IGNORECASE), rf"\g<1>{MASK}"),
)


def redact(text: str) -> str:
    """Mask passwords in URIs, tokens in queries, authorization headers and the values of `VARIABLES`."""
    values = [value for name in VARIABLES if len(value := os.environ.get(name, "")) >= SHORTEST]
    for form in sorted([*values, *(quote(value, safe="") for value in values)], key=len, reverse=True):
        text = text.replace(form, MASK)
    for pattern, masked in (*_URI, *_TEXT):
        text = pattern.sub(masked, text)
    return text


def holds_secret(text: str) -> bool:
    """Tell whether a text holds a URI with a password or a token."""
    return "://" in text and any(pattern.search(text) for pattern, _ in _URI)


class Sink(io.TextIOWrapper):
    """Redacts what is written; when its reader goes away (`| head`, a closed terminal), the rest goes nowhere."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(
            io.BufferedWriter(_Lasting(stream.fileno())), stream.encoding, stream.errors, line_buffering=True, write_through=True
        )

    def write(self, text: str) -> int:
        super().write(redact(text))
        return len(text)


class _Lasting(io.FileIO):
    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        # A terminal that was hung up gives EIO, and is no terminal any more.
        self._gone = (errno.EPIPE, errno.EIO) if os.isatty(descriptor) else (errno.EPIPE,)

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            if error.errno not in self._gone:
                raise
            # In place, so that processes started from now on have somewhere to write, too.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return len(memoryview(data))  # type: ignore[arg-type]
